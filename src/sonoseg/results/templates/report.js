"use strict";
(() => {
  const tools = document.querySelector(".tools"), body = document.body;
  if (!tools) return;
  tools.hidden = false;
  const apply = () => {
    body.dataset.show = tools.elements.show.value;
    body.classList.toggle("bare", !tools.elements.outlines.checked);
    body.classList.toggle("full", tools.elements.sizes.checked);
  };
  tools.addEventListener("change", apply);
  tools.addEventListener("submit", (event) => event.preventDefault());
  const keys = { o: "hold-full", p: "hold-bare" };
  const hold = (event, down) => {
    const name = keys[event.key.toLowerCase()];
    if (name && !event.ctrlKey && !event.metaKey && !event.altKey) body.classList.toggle(name, down);
  };
  addEventListener("keydown", (event) => hold(event, true));
  addEventListener("keyup", (event) => hold(event, false));
  addEventListener("blur", () => body.classList.remove("hold-full", "hold-bare"));
  apply();
})();
