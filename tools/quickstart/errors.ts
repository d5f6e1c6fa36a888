/** A failure for a person: what happened, and what to do. Printed without a stack trace. */
export class QuickstartError extends Error {}
