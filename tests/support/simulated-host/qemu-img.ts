/**
 * A qemu-img whose qcow2 files start with a line of JSON: { "format": "qcow2", "virtual-size": …, "backing-filename": … }. Any other file is raw.
 * What is in a qcow2 file is not kept, only that it was written to. Prints information in the real one's layout, which scripts read line by line.
 */
import * as fs from "node:fs";
import type { Answer } from "./tool-server";

interface Image {
  readonly format: string;
  readonly "virtual-size": number;
  readonly "backing-filename"?: string;
  readonly "backing-filename-format"?: string;
  readonly written?: true;
  readonly options?: string;
}

function read(file: string): Image {
  const text = fs.readFileSync(file, "utf8");
  // As a real header: what comes after it in the file is not looked at.
  if (text.startsWith('{"format"')) return JSON.parse(text.slice(0, text.indexOf("\n"))) as Image;
  return { format: "raw", "virtual-size": fs.statSync(file).size };
}

function write(file: string, image: Image): void {
  if (image.format !== "raw") fs.writeFileSync(file, `${JSON.stringify(image)}\n`);
  else if (image.options === "preallocation=falloc") fs.writeFileSync(file, Buffer.alloc(image["virtual-size"]));
  else {
    if (!fs.existsSync(file)) fs.writeFileSync(file, "");
    fs.truncateSync(file, image["virtual-size"]);
  }
}

export function qemuImg(args: readonly string[]): Answer {
  const [command, ...rest] = args;
  const options = new Map<string, string>();
  const words: string[] = [];
  while (rest.length > 0) {
    const word = rest.shift() ?? "";
    if (["-f", "-F", "-o", "-b", "-O"].includes(word)) options.set(word, rest.shift() ?? "");
    else if (!word.startsWith("-")) words.push(word);
  }
  const [file = "", second = ""] = words;
  switch (command) {
    case "create":
      write(file, {
        format: options.get("-f") ?? "raw",
        "virtual-size": Number(second),
        "backing-filename": options.get("-b"),
        "backing-filename-format": options.get("-F"),
        options: options.get("-o"),
      });
      return done();
    case "convert":
      // Into a device that is there: it keeps its size.
      if (args.includes("-n")) {
        if (options.get("-f") !== read(file).format)
          return failed(`Could not open '${file}': Image is not in ${options.get("-f")} format`);
        if (read(second).format === "raw") copyInto(second, fs.readFileSync(file));
        else write(second, { ...read(second), written: true });
      } else if (read(file).format === "raw") fs.copyFileSync(file, second);
      else write(second, { format: options.get("-O") ?? "raw", "virtual-size": read(file)["virtual-size"] });
      return done();
    case "resize":
      write(file, { ...read(file), "virtual-size": Number(second) });
      return done();
    case "info":
      if (fs.existsSync(file)) return done(`${JSON.stringify({ ...read(file), filename: file }, null, 4)}\n`);
      return failed(`Could not open '${file}': Could not open '${file}': No such file or directory`);
    case "compare":
      return same(content(file), content(second))
        ? done("Images are identical.\n")
        : { code: 1, stdout: "Content mismatch at offset 0!\n", stderr: "" };
    default:
      return failed(`Command not found: ${command}`);
  }
}

/** What a guest reads from its start on; undefined: what nobody kept. */
function content(file: string): Buffer | undefined {
  const image = read(file);
  if (image.format === "raw") return fs.readFileSync(file);
  const backing = image["backing-filename"];
  if (image.written) return undefined;
  return backing === undefined ? Buffer.alloc(0) : content(backing);
}

/** The longer one may end in zeros. */
function same(a: Buffer | undefined, b: Buffer | undefined): boolean {
  if (!a || !b) return false;
  const [shorter, longer] = a.length < b.length ? [a, b] : [b, a];
  return (
    shorter.equals(longer.subarray(0, shorter.length)) && longer.subarray(shorter.length).every((byte) => byte === 0)
  );
}

/** Blocks of zeros are not written. */
function copyInto(device: string, content: Buffer): void {
  const file = fs.openSync(device, "r+");
  for (let at = 0; at < content.length; at += 65536) {
    const block = content.subarray(at, at + 65536);
    if (block.some((byte) => byte !== 0)) fs.writeSync(file, block, 0, block.length, at);
  }
  fs.closeSync(file);
}

function done(stdout = ""): Answer {
  return { code: 0, stdout, stderr: "" };
}

function failed(message: string): Answer {
  return { code: 1, stdout: "", stderr: `qemu-img: ${message}\n` };
}
