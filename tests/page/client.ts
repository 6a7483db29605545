// What a program does with the types that openapi-typescript makes.

import type { components, operations } from './api';

type Run = components['schemas']['Run'];
type Runs = operations['listRuns']['responses']['200']['content']['application/json'];

export const updated = (runs: Runs): number => runs.items.reduce((sum: number, run: Run) => sum + (run.updated ?? 0), 0);
export const yes = (plan: operations['createPlan']['responses']['200']['content']['application/json']): operations['confirmRun']['requestBody']['content']['application/json'] => ({ confirm: true, plan_id: plan.plan_id });
export const states: NonNullable<operations['listRuns']['parameters']['query']>['status'][] = ['cancelling', 'succeeded'];
export const list: components['schemas']['RunList'] = { items: [], next: null };
