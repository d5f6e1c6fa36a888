import type { Download } from "./download";
import type { Version } from "./versions";

/** Where and for what a tool is to run. */
export interface Platform {
  readonly os: "linux" | "darwin";
  /** As Go names it. */
  readonly arch: "amd64" | "arm64";
}

/** How a tool is recognised on PATH. */
export interface PathProbe {
  readonly args: readonly string[];
  readonly accepts: (found: Version) => boolean;
  /** Another executable that must lie next to it, symbolic links resolved. */
  readonly companion?: string;
}

/** An official release file with its publisher's sums. */
export interface Release extends Download {
  /** `binary`: the file is the tool. Otherwise a tar archive: the part of its paths to drop is given. */
  readonly unpack: "binary" | { readonly strip: number };
}

/** Writes files into a copy of a module. `moduleDir` finds the sources of a required module, or of `module@version`. */
export type Prepare = (dir: string, moduleDir: (module: string) => Promise<string>) => Promise<void>;

/** A build with the Go command, in a copy of a folder of the checkout. */
export interface GoBuild {
  /** Folder with go.mod and go.sum, relative to the checkout. */
  readonly module: string;
  /** Import path, or `.` or `./dir` in the folder. */
  readonly package: string;
  /** Folders of the checkout that count as sources beside the module's own. */
  readonly sources?: readonly string[];
  /** What the file is called that `go build` makes of the package; default: the tool's name. */
  readonly output?: string;
  /** `-X` settings of the linker, `path.name=value`. Tools of one module are built with the settings of all of them. */
  readonly set?: readonly string[];
  /** Completes the copy with generated files. */
  readonly prepare?: Prepare;
}

/** A file in a Python wheel, for what is published that way; the requirements file pins version and hash. */
export interface Wheel {
  /** Relative to the checkout. */
  readonly requirements: string;
  readonly member: string;
}

/** A file in an npm package, pinned by version and integrity. */
export interface NpmFile {
  /** name@version */
  readonly package: string;
  /** As `npm view PACKAGE dist.integrity` prints it. */
  readonly integrity: string;
  readonly member: string;
}

export interface Recipe {
  readonly version: string;
  readonly path?: PathProbe;
  readonly release?: (platform: Platform) => Release | undefined;
  readonly go?: GoBuild;
  readonly wheel?: Wheel;
  readonly npm?: (platform: Platform) => NpmFile | undefined;
}
