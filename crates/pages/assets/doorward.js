// What pages are better with. All of them work without.
"use strict";

// A button that copies what stands beside it.
for (const source of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "second";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy " + (source.dataset.copy || "this"));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  source.after(button);
}

// The records of refusals, as they come.
const tail = document.querySelector("[data-tail]");
if (tail) {
  const live = document.createElement("label");
  live.className = "choice";
  const box = document.createElement("input");
  box.type = "checkbox";
  live.append(box, "Show new records as they come");
  tail.before(live);
  let asking = false;
  setInterval(async () => {
    if (!box.checked || asking || document.hidden) return;
    asking = true;
    try {
      const answer = await fetch(tail.dataset.tail, { headers: { Accept: "text/html" } });
      if (answer.ok && !answer.redirected) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.querySelector("[data-tail]");
        if (fresh) tail.replaceChildren(...fresh.childNodes);
      }
    } finally {
      asking = false;
    }
  }, 2000);
}
