// Fields made from a strategy's parameter schema, and what was written into them.

function fieldOf(name, schema, value) {
  const label = document.createElement("label");
  label.append(`${schema.title}${schema.unit ? `, ${schema.unit}` : ""} `);
  const input = document.createElement("input");
  input.name = `param.${name}`;
  input.title = schema.description ?? "";
  if (schema.type === "boolean") {
    input.type = "checkbox";
    input.checked = Boolean(value);
  } else {
    input.type = schema.type === "string" ? "text" : "number";
    input.step = schema.type === "integer" ? "1" : "any";
    if (schema.minimum !== undefined) input.min = schema.minimum;
    if (schema.maximum !== undefined) input.max = schema.maximum;
    if (value !== undefined) input.value = String(value);
  }
  input.dataset.type = schema.type;
  label.append(input);
  if (schema.description) {
    const help = document.createElement("small");
    help.className = "muted";
    help.textContent = schema.description;
    label.append(help);
  }
  return label;
}

/** Draw the fields of a schema; `values` replace the defaults. */
export function drawFields(holder, schema, values = {}) {
  const properties = Object.entries(schema?.properties ?? {});
  holder.replaceChildren(...properties.map(([name, field]) => fieldOf(name, field, values[name] ?? field.default)));
}

/** What is written, by name; empty fields and names in `without` are left out. */
export function readFields(holder, without = new Set()) {
  const found = {};
  for (const input of holder.querySelectorAll("input")) {
    const name = input.name.slice(6);
    if (without.has(name)) continue;
    if (input.type === "checkbox") found[name] = input.checked;
    else if (input.value !== "") found[name] = input.type === "number" ? Number(input.value) : input.value;
  }
  return found;
}
