// Three comforts; the page is whole without them.
"use strict";

// Airflow's own switch between light and dark, where the page stands inside it.
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* storage is closed to us: the system's choice holds */ }

// Airflow's frame lets no link change the page around it, so the page around it follows the link itself.
function follow(link) {
  const outside = window.parent.document.createElement("a");
  outside.href = link.href;
  window.parent.document.body.append(outside);
  outside.click();
  outside.remove();
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text.textContent);
    return true;
  } catch { // no permission, or no secure connection
    return false;
  }
}

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[target=_top]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const isFramed = window.parent !== window;
  if (isFramed || link.dataset.copies) event.preventDefault();
  if (link.dataset.copies) await copied(document.querySelector(link.dataset.copies));
  if (isFramed) follow(link);
  else if (link.dataset.copies) location.assign(link.href);
});

document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = button.parentElement.querySelector("pre");
      if (await copied(text)) button.textContent = "Copied";
      else {
        getSelection().selectAllChildren(text);
        button.textContent = "Selected";
      }
    });
  }
});
