/** A value that a mesh component refuses before it makes anything: where, what was found, what to do. */
export class MeshInputError extends Error {
  constructor(where: string, found: string, remedy: string) {
    super(`${where}: ${found}. ${remedy}`);
    this.name = "MeshInputError";
  }
}
