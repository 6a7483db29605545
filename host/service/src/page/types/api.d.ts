// What the API takes and answers, by route: from its own description.

import type { components, paths } from './description';

type Schemas = components['schemas'];
export type ApiKey = Schemas['ApiKey'];
export type AuditRow = Schemas['AuditRow'];
export type ChangeOutcome = Schemas['ChangeOutcome'];
export type Check = Schemas['Check'];
export type CreatedApiKey = Schemas['CreatedApiKey'];
export type Destination = Schemas['Destination'];
export type DestinationType = Schemas['DestinationType'];
export type GoldenSet = Schemas['GoldenSet'];
export type LastCheck = Schemas['LastCheck'];
export type Me = Schemas['Me'];
export type NewSource = Schemas['NewSource'];
export type Outcome = Schemas['Outcome'];
export type Plan = Schemas['Plan'];
export type PlanMode = Schemas['PlanMode'];
export type PlannedChange = Schemas['PlannedChange'];
export type ProblemJson = Schemas['Problem'];
export type Role = Schemas['Role'];
export type Run = Schemas['Run'];
export type RunStatus = Schemas['RunStatus'];
export type SkippedRows = Schemas['SkippedRows'];
export type Source = Schemas['Source'];
export type SourceChanges = Schemas['SourceChanges'];
export type Unreadable = Schemas['Unreadable'];

export interface Page<T> {
  items: T[];
  next?: string | null;
  unreadable?: Unreadable[];
}

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
/** Routes that have this method. */
export type Route<M extends Method> = { [R in keyof paths]: paths[R][M] extends undefined ? never : R }[keyof paths];
type Operation<R extends keyof paths, M extends Method> = NonNullable<paths[R][M]>;

type Json<C> = C extends { content: { 'application/json': infer J } } ? J : null;
type Good = 200 | 201 | 202 | 204;
/** What is answered when all is well. */
export type Answer<R extends keyof paths, M extends Method> =
  Operation<R, M> extends { responses: infer A } ? { [S in keyof A & Good]: Json<A[S]> }[keyof A & Good] : never;

type Part<O, K extends string> = O extends { parameters: { [P in K]?: infer V } } ? Exclude<V, undefined> : never;
/** The values for the `{names}` of a route. */
export type At<R extends keyof paths> = { [M in Method]: Part<Operation<R, M>, 'path'> }[Method];
type Body<O> = O extends { requestBody?: infer B } ? Json<Exclude<B, undefined>> : never;

/** What a request has beside its route. */
export type Options<R extends keyof paths, M extends Method> = { signal?: AbortSignal; headers?: Record<string, string> } &
  ([At<R>] extends [never] ? { at?: undefined } : { at: At<R> }) &
  ([Part<Operation<R, M>, 'query'>] extends [never] ? { query?: undefined } : { query?: Part<Operation<R, M>, 'query'> }) &
  ([Body<Operation<R, M>>] extends [never] ? { body?: undefined } : { body?: Body<Operation<R, M>> });

/** The options may be left out where nothing needs to be said. */
export type Asked<R extends keyof paths, M extends Method> = [At<R>] extends [never] ? [options?: Options<R, M>] : [options: Options<R, M>];

/** Routes whose answer is a page of a list, and what is in it. */
export type ListRoute = { [R in Route<'get'>]: Answer<R, 'get'> extends Page<unknown> ? R : never }[Route<'get'>];
export type Item<R extends ListRoute> = Answer<R, 'get'> extends Page<infer T> ? T : never;
