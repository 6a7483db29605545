// What elements are made of: see `dom.js`.

/** What can stand in an element. Not a number: what `0 && …` comes to would be shown. */
export type Child = Node | string | false | null | undefined | readonly Child[];

type Scalar = string | number | boolean | null | undefined;

/** An event whose listener knows what it listens at. */
export type On<V extends Event, E> = V & { readonly currentTarget: E };

type Listeners<E> = { [K in keyof HTMLElementEventMap as `on${K}`]?: (event: On<HTMLElementEventMap[K], E>) => unknown };

type Name =
  | 'accept' | 'autocomplete' | 'checked' | 'class' | 'datetime' | 'disabled' | 'download' | 'for' | 'height' | 'hidden' | 'href' | 'id' | 'inputmode' | 'list' | 'max'
  | 'method' | 'min' | 'name' | 'novalidate' | 'open' | 'placeholder' | 'preserveAspectRatio' | 'rel' | 'required' | 'role' | 'rows' | 'rowspan' | 'scope' | 'selected' | 'spellcheck'
  | 'step' | 'tabindex' | 'target' | 'text-anchor' | 'title' | 'type' | 'value' | 'viewBox' | 'width' | 'x' | 'x1' | 'x2' | 'y' | 'y1' | 'y2';

/** Attributes, properties and listeners of an element. Null and undefined are left out. */
export type Attributes<E> = Listeners<E> & { [K in Name]?: Scalar } & { [data: `data-${string}`]: Scalar; [aria: `aria-${string}`]: Scalar };

/** What follows the tag: the attributes may be left out. */
export type Rest<E> = [attributes: Attributes<E>, ...children: Child[]] | Child[];

export type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

/** A control with its label, and a place for what is wrong with it. */
export type Field<C extends Control = Control> = HTMLDivElement & { control: C; fail(message: string): void };

/** A place for what an action has to say. */
export type Slot = HTMLDivElement & { show(...children: Child[]): Element; clear(): Element };

/** A list by pages. */
export type Paged = HTMLDivElement & { refresh(): Promise<void> | undefined; restart(): Promise<void> };

/** What a view is told: its part of the address, when to stop, and how to go elsewhere. */
export interface Visit {
  params: string[];
  query: URLSearchParams;
  signal: AbortSignal;
  go(hash: string): void;
}
