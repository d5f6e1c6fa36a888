import { rulesOf, STATUSES, type Report } from "../model";
import { STATUS_TEXT } from "../text";
import { escape } from "./html-text";

/** Hidden until the script shows it: without script the page has everything and needs no filter. */
export function filterForm(report: Report): string {
  const controls = [...new Set(rulesOf(report).flatMap((rule) => rule.controls))].sort((a, b) =>
    a.localeCompare(b, "en", { numeric: true }),
  );
  const option = (value: string, text: string): string => `<option value="${escape(value)}">${escape(text)}</option>`;
  return `<form class="filter" id="filter" hidden aria-label="Show only">
<label>Result <select name="result">${option("", "any")}${[...STATUSES, "planned" as const].map((status) => option(status, STATUS_TEXT[status])).join("")}</select></label>
<label>Control <select name="control">${option("", "any")}${controls.map((control) => option(control, control)).join("")}</select></label>
<label>Rule <input name="rule" type="search" autocomplete="off"></label>
<label>Resource <input name="resource" type="search" autocomplete="off"></label>
<button type="reset">Show all</button>
<p role="status" id="shown"></p>
</form>`;
}

/** The whole script of the page. */
export const SCRIPT = `
(() => {
  const form = document.getElementById("filter");
  const items = [...document.querySelectorAll("[data-item]")];
  const has = (text, part) => text.toLowerCase().includes(part.trim().toLowerCase());
  const apply = () => {
    const { result, control, rule, resource } = Object.fromEntries(new FormData(form));
    for (const item of items) {
      const { dataset } = item;
      item.hidden = !((result === "" || dataset.result === result) && (control === "" || dataset.controls.split("|").includes(control)) &&
        has(dataset.rule, rule) && has(dataset.resources, resource));
    }
    const rows = items.filter((item) => item.tagName === "TR");
    document.getElementById("shown").textContent = rows.filter((row) => !row.hidden).length + " of " + rows.length + " rules shown";
    for (const table of document.querySelectorAll("#rules .scroll")) table.hidden = !table.querySelector("tbody tr:not([hidden])");
  };
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  apply();
})();
`;
