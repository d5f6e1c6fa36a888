/** T with everything in it readonly: what a schema gives is data, and nothing changes it afterwards. */
export type Immutable<T> = T extends string | number | boolean | null | undefined | readonly number[]
  ? T
  : T extends readonly (infer U)[]
    ? readonly Immutable<U>[]
    : T extends object
      ? { readonly [K in keyof T]: Immutable<T[K]> }
      : T;
