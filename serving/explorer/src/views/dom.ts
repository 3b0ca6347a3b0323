// Elements from plain calls. Text is always set as text, never as HTML.

type Child = Node | string | null;

interface Options {
  readonly class?: string;
  readonly data?: Readonly<Record<string, string | number>>;
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
}

let last = 0;

/** An id that nothing else in the page has. */
export function newId(): string {
  return `e${++last}`;
}

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  options: Options = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (options.class) made.className = options.class;
  for (const [key, value] of Object.entries(options.data ?? {})) made.dataset[key] = String(value);
  setAttributes(made, options.attributes ?? {});
  made.append(...children.filter((x) => x !== null));
  return made;
}

/** A name that may be broken after each of its underscores, as label names have them. */
export function breakable(name: string): Child[] {
  return name.split(/(?<=_)/).flatMap((part, i) => (i ? [element("wbr"), part] : [part]));
}

/** True becomes an attribute without value, false none. */
export function setAttributes(
  target: Element,
  attributes: Readonly<Record<string, string | number | boolean>>,
): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false) target.removeAttribute(name);
    else target.setAttribute(name, value === true ? "" : String(value));
  }
}

export function svg(tag: string, attributes: Readonly<Record<string, string | number>>, ...children: Node[]): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

export function button(text: Child, act: () => void, options: Options = {}): HTMLButtonElement {
  const made = element("button", { ...options, attributes: { type: "button", ...options.attributes } }, text);
  made.addEventListener("click", act);
  return made;
}

/** A choice with a visible label. */
export function choice(
  label: string,
  options: readonly string[],
  chosen: number,
  act: (index: number) => void,
): { readonly field: HTMLLabelElement; readonly select: HTMLSelectElement } {
  const select = element("select", {}, ...options.map((x, i) => element("option", { attributes: { value: i } }, x)));
  select.value = String(chosen);
  select.addEventListener("change", () => act(Number(select.value)));
  return { field: element("label", { class: "choice" }, element("span", {}, ...breakable(label)), select), select };
}

/** A choice that may be left open, which stands apart from the options, whatever they are called. */
export function freeChoice(
  label: string,
  options: readonly string[],
  act: (index: number | null) => void,
): { readonly field: HTMLLabelElement; readonly select: HTMLSelectElement } {
  const { field, select } = choice(label, options, 0, () => act(select.value === "" ? null : Number(select.value)));
  const values = element("optgroup", { attributes: { label: "Always" } }, ...select.children);
  select.replaceChildren(element("option", { attributes: { value: "" } }, "left to chance"), values);
  select.value = "";
  return { field, select };
}

/** A field for a number with a visible label; an empty one, or one that holds no number, is null. */
export function numberField(
  label: string,
  hint: string,
  act: (value: number | null) => void,
): { readonly field: HTMLLabelElement; readonly input: HTMLInputElement } {
  const input = element("input", { class: "number-field", attributes: { type: "number", step: "any", placeholder: hint } });
  input.addEventListener("change", () => act(input.value === "" ? null : input.valueAsNumber));
  return { field: element("label", { class: "choice" }, element("span", {}, ...breakable(label)), input), input };
}

export function checkbox(label: string, checked: boolean, act: (checked: boolean) => void): HTMLLabelElement {
  const box = element("input", { attributes: { type: "checkbox" } });
  box.checked = checked;
  box.addEventListener("change", () => act(box.checked));
  return element("label", { class: "check" }, box, element("span", {}, ...breakable(label)));
}

/** A number as people read it, to four digits. */
export function rounded(x: number): string {
  return String(Number(x.toPrecision(4)));
}

export function percent(probability: number): string {
  return `${(100 * probability).toFixed(1)} %`;
}
