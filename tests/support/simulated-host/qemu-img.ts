/**
 * A qemu-img whose qcow2 files are JSON: { "format": "qcow2", "virtual-size": …, "backing-filename": … }. Any other file is raw.
 * Prints information in the real one's layout, which scripts read line by line.
 */
import * as fs from "node:fs";

interface Image {
  readonly format: string;
  readonly "virtual-size": number;
  readonly "backing-filename"?: string;
  readonly options?: string;
}

function read(file: string): Image {
  const text = fs.readFileSync(file, "utf8");
  if (text.startsWith('{"format"')) return JSON.parse(text) as Image;
  return { format: "raw", "virtual-size": fs.statSync(file).size };
}

function write(file: string, image: Image): void {
  if (image.format !== "raw") fs.writeFileSync(file, JSON.stringify(image));
  else {
    if (!fs.existsSync(file)) fs.writeFileSync(file, "");
    fs.truncateSync(file, image["virtual-size"]);
  }
}

function main(): number {
  const [command, ...rest] = process.argv.slice(2);
  const options = new Map<string, string>();
  const words: string[] = [];
  while (rest.length > 0) {
    const word = rest.shift() ?? "";
    if (["-f", "-F", "-o", "-b", "-O"].includes(word)) options.set(word, rest.shift() ?? "");
    else if (!word.startsWith("-")) words.push(word);
  }
  const [file = "", size] = words;
  switch (command) {
    case "create":
      write(file, {
        format: options.get("-f") ?? "raw",
        "virtual-size": Number(size),
        "backing-filename": options.get("-b"),
        options: options.get("-o"),
      });
      return 0;
    case "convert":
      fs.copyFileSync(file, size ?? "");
      if (read(file).format !== "raw") {
        fs.rmSync(size ?? "");
        write(size ?? "", { format: options.get("-O") ?? "raw", "virtual-size": read(file)["virtual-size"] });
      }
      return 0;
    case "resize":
      write(file, { ...read(file), "virtual-size": Number(size) });
      return 0;
    case "info":
      if (!fs.existsSync(file)) {
        process.stderr.write(
          `qemu-img: Could not open '${file}': Could not open '${file}': No such file or directory\n`,
        );
        return 1;
      }
      process.stdout.write(`${JSON.stringify({ ...read(file), filename: file }, null, 4)}\n`);
      return 0;
    default:
      process.stderr.write(`qemu-img: Command not found: ${command}\n`);
      return 1;
  }
}

process.exitCode = main();
