import { createTypeScriptImportResolver } from "eslint-import-resolver-typescript";
import { importX } from "eslint-plugin-import-x";
import tseslint from "typescript-eslint";

/**
 * The rooms, from the lowest floor to the highest: what stands higher may import what stands lower, never the other way
 * (docs/architecture.md). A room that is named in `may` is all that this one imports outside itself.
 */
const rooms = [
  { room: "rules", may: [] },
  { room: "config", may: ["rules"] },
  { room: "provider", may: ["rules"] },
  { room: "components", may: ["rules", "config", "provider"] },
  { room: "policies", may: ["rules"] },
  { room: "command", may: ["rules", "config"] },
  { room: "report", may: ["rules", "policies", "command"] },
  { room: "tools", may: ["rules", "command", "config", "provider", "components", "policies", "report"] },
];

const zones = rooms.map(({ room, may }) => ({
  target: `./${room}`,
  from: ["./tests", "./bench", "./examples", "./index.ts", ...rooms.map((other) => `./${other.room}`)].filter(
    (from) => from !== `./${room}` && !may.includes(from.slice(2)),
  ),
  message: `${room}/ imports ${may.length === 0 ? "no other room" : `only ${may.join(", ")}`} (docs/architecture.md)`,
}));

export default tseslint.config(
  { ignores: ["dist/**", "dist-*/**", "node_modules/**", "**/*.cjs", "**/*.mjs", ".kvmesh/**"] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname } },
    rules: {
      // `const { a, ...rest } = x` is how a key is left out.
      "@typescript-eslint/no-unused-vars": ["error", { ignoreRestSiblings: true }],
      // Numbers and booleans read well in messages; objects do not, and stay refused.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      // noUncheckedIndexedAccess makes `!` the honest word where an index was just checked.
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // Pulumi resources are declared for their effect.
      "no-new": "off",
    },
  },
  {
    files: ["**/*.ts"],
    plugins: { "import-x": importX },
    settings: {
      ...importX.flatConfigs.typescript.settings,
      "import-x/resolver-next": [createTypeScriptImportResolver({ project: "./tsconfig.json" })],
    },
    rules: {
      "import-x/no-restricted-paths": ["error", { zones }],
      // Types may refer to each other; code that needs each other is one thing in two files.
      "import-x/no-cycle": ["error", { ignoreExternal: true }],
    },
  },
  {
    files: ["tests/**/*.ts"],
    rules: {
      // chai's assertions are property reads.
      "@typescript-eslint/no-unused-expressions": "off",
    },
  },
);
