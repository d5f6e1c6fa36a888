/**
 * Quantities as types, so that a number can't be mistaken for another.
 *
 * A value in the stack file is written with its unit ("16GiB", "90s", "2-5,8"); everything after the parser
 * holds one of these types.
 */

/** A whole number of bytes. */
export type Bytes = number & { readonly __unit: "bytes" };
/** A whole number of milliseconds. */
export type Milliseconds = number & { readonly __unit: "milliseconds" };
/** A whole number from 0 to 100. */
export type Percent = number & { readonly __unit: "percent" };
/** Logical CPU numbers of a host, ascending, without repeats. */
export type CpuSet = readonly number[] & { readonly __unit: "cpuset" };
