// What pages do beside showing: keys, a login code out of the address, editors and charts when there is one, and words
// for screen readers. Every page reads and works without it.
"use strict";
(() => {
  const own = document.currentScript;
  const nonce = own.nonce;
  const beside = name => new URL(name, own.src).pathname;
  const make = (kind, given = {}, ...children) => {
    const made = Object.assign(document.createElement(kind), given);
    made.append(...children);
    return made;
  };
  const typing = at => at.closest("input:not([type=checkbox], [type=radio]), textarea, select, .cm-editor, dialog");

  // Scripts come from our own folder alone, and only this policy may name one.
  const policy = window.trustedTypes
    ? trustedTypes.createPolicy("pocketlet", {
        createScriptURL: url => {
          if (!/^\/static\/[\w./-]+\.js$/.test(url) || url.includes("..")) throw new TypeError("not ours: " + url);
          return url;
        },
      })
    : { createScriptURL: url => url };

  // A one-time code stands behind the #, which no server and no log sees; it is gone from the address at once.
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  const form = document.getElementById("code-form");
  if (code && form) {
    history.replaceState(null, "", location.pathname + location.search);
    form.elements.code.value = code;
    form.requestSubmit();
  }

  // Keys
  const keys = [
    ["?", "Shows this list"],
    ["/", "Goes to a section or a part of the page (also Ctrl K)"],
    ["j", "The next in a list"],
    ["k", "The one before"],
    ["Enter", "Opens it"],
    ["Esc", "Closes what is open"],
  ];
  let shown = null;
  const show = dialog => {
    shown?.close();
    shown = dialog;
    dialog.addEventListener("close", () => (dialog.remove(), (shown = shown === dialog ? null : shown)));
    dialog.addEventListener("click", event => event.target === dialog && dialog.close());
    document.body.append(dialog);
    dialog.showModal();
  };
  const help = () => {
    const rows = keys.map(([key, does]) => make("div", {}, make("dt", {}, make("kbd", {}, key)), make("dd", {}, does)));
    const close = make("button", { type: "button", className: "button", onclick: () => shown.close() }, "Close");
    const title = make("h2", { id: "keys-title" }, "Keys");
    const dialog = make("dialog", {}, title, make("dl", { className: "facts" }, ...rows), close);
    dialog.setAttribute("aria-labelledby", title.id);
    show(dialog);
  };
  const places = () => {
    const links = [...document.querySelectorAll(".rail a[href]:not(.mark), main h2[id], main h3[id]")];
    return links.map(at => [at.innerText.replace(/\s+/g, " ").trim(), at.getAttribute("href") || "#" + at.id]);
  };
  const jump = () => {
    const list = make("ul", { className: "list" });
    const field = make("input", { type: "text", autocomplete: "off", spellcheck: false });
    const known = places();
    let at = 0;
    const fill = () => {
      const wanted = field.value.toLowerCase();
      const found = known.filter(([word]) => word.toLowerCase().includes(wanted)).slice(0, 10);
      at = Math.max(0, Math.min(at, found.length - 1));
      const item = ([word, href], number) => make("a", { href, className: number === at ? "at" : "" }, word);
      list.replaceChildren(...found.map((one, number) => make("li", {}, item(one, number))));
    };
    field.addEventListener("input", () => ((at = 0), fill()));
    field.addEventListener("keydown", event => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        at += step;
        fill();
      } else if (event.key === "Enter") list.querySelector("a.at")?.click();
      else return;
      event.preventDefault();
    });
    list.addEventListener("click", () => shown.close());
    fill();
    const dialog = make("dialog", {}, make("label", {}, "Where to?", field), list);
    dialog.setAttribute("aria-label", "Go to");
    show(dialog);
    field.focus();
  };
  const walk = by => {
    const items = [...document.querySelectorAll("[data-list] > li, [data-list] > tbody > tr")];
    const links = items.map(item => item.querySelector("a[href], button, summary")).filter(Boolean);
    if (!links.length) return false;
    const now = links.findIndex(link => link.closest("li, tr").contains(document.activeElement));
    links[Math.max(0, Math.min(now + by, links.length - 1))].focus({ focusVisible: true });
    return true;
  };
  document.addEventListener("keydown", event => {
    const alone = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (event.key === "k" && (event.ctrlKey || event.metaKey)) jump();
    else if (!alone || event.isComposing || typing(event.target)) return;
    else if (event.key === "?") help();
    else if (event.key === "/") jump();
    else if (event.key !== "j" && event.key !== "k") return;
    else if (!walk(event.key === "j" ? 1 : -1)) return;
    event.preventDefault();
  });
  document.querySelector(".foot span")?.after(
    make("button", { type: "button", className: "quiet small", title: "Keys (?)", onclick: help }, make("kbd", {}, "?"), " Keys"),
  );

  // Editors and charts: their code is loaded when a page has one.
  const load = name =>
    new Promise((done, failed) => {
      const script = make("script", { nonce, onload: done, onerror: failed });
      script.src = policy.createScriptURL(beside(name));
      document.head.append(script);
    });
  const edit = async area => {
    area.dataset.made = "1";
    const editor = await import(beside("vendor/codemirror.js"));
    const box = make("div", { className: "editor" });
    const label = area.getAttribute("aria-label") || area.labels[0]?.innerText.trim();
    area.after(box);
    area.hidden = true;
    const made = editor.make(box, {
      language: area.dataset.editor || "markdown",
      schema: JSON.parse(area.dataset.schema || "{}"),
      doc: area.value,
      hint: area.placeholder,
      onchange: text => (area.value = text),
      label,
      nonce,
    });
    area.required = false; // a field that nobody sees can't say that it is empty; the server does
    area.form?.addEventListener("reset", () => setTimeout(() => made.set(area.value)));
    area.closest("label")?.addEventListener("click", event => box.contains(event.target) || made.focus());
    box.addEventListener("keydown", event => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) area.form?.requestSubmit();
    }, true);
  };
  const chart = async figure => {
    figure.dataset.made = "1";
    document.head.append(make("link", { rel: "stylesheet", href: beside("vendor/uplot.css") }));
    await (window.uPlot || load("vendor/uplot.js"));
    const told = JSON.parse(figure.dataset.chart);
    const box = make("div", { className: "chart" });
    figure.prepend(box);
    box.setAttribute("aria-hidden", "true"); // the table says the same
    const colour = name => ((box.style.color = `var(${name})`), getComputedStyle(box).color);
    const inks = ["--spruce", "--amber-fill", "--slate", "--brick", "--ink-3"];
    const axis = { stroke: colour("--ink-2"), font: "11.5px Geist", grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const amount = value => (value == null ? "" : (told.unit || "") + value.toFixed(value < 1 ? 3 : 2));
    const day = at => new Date(at * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
    const drawn = told.lines.length === 1 ? { paths: uPlot.paths.bars({ size: [0.6, 40] }), fill: colour(inks[0]), width: 0, points: { show: false } } : { width: 1.5 };
    const lines = told.lines.map((line, at) => ({ label: line.name, stroke: colour(inks[at % inks.length]), value: (_, value) => amount(value), ...drawn }));
    const axes = [{ ...axis, grid: { show: false }, values: (_, all) => all.map(day) }, { ...axis, size: 56, values: (_, all) => all.map(amount) }];
    const days = told.lines.length === 1 ? 43200 : 0;
    const scales = { x: { range: (_, low, high) => [low - days, high + days] }, y: { range: (_, low, high) => [Math.min(0, low), high || 1] } };
    const size = () => ({ width: figure.clientWidth, height: 200 });
    const made = new uPlot({ ...size(), series: [{}, ...lines], axes, scales, tzDate: at => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"), legend: { show: lines.length > 1 } }, [told.x, ...told.lines.map(line => line.values)], box);
    new ResizeObserver(() => made.setSize(size())).observe(figure);
  };

  // What came into the page: editors, charts, words to read out, and how many things wait.
  const title = document.title.replace(/^\(\d+\) /, "");
  const seen = root => {
    const all = what => [...(root.matches(what) ? [root] : []), ...root.querySelectorAll(what)];
    all("textarea[data-editor]:not([data-made])").forEach(edit);
    all("[data-chart]:not([data-made])").forEach(chart);
    all("time[datetime]:not([title])").forEach(at => (at.title = new Date(at.dateTime).toLocaleString()));
  };
  const say = root => {
    const status = document.getElementById("status");
    const words = root.closest("[data-say]") || root.querySelector("[data-say]");
    if (status && words) status.textContent = words.dataset.say;
    const count = root.closest("[data-waiting]") || root.querySelector("[data-waiting]");
    if (!count) return;
    const waiting = Number(count.dataset.waiting);
    document.title = waiting ? `(${waiting}) ${title}` : title;
    document.querySelector("link[rel=icon]").href = beside(waiting ? "dot.svg" : "mark.svg");
  };
  seen(document.documentElement);
  new MutationObserver(changes => {
    for (const change of changes)
      for (const node of change.addedNodes) if (node.nodeType === 1 && !node.closest(".cm-editor, .chart, dialog")) seen(node), say(node);
  }).observe(document.body, { childList: true, subtree: true });
  for (const at of document.querySelectorAll("[aria-current]")) {
    const row = at.closest(".places, .agents, .sections, .tabs");
    if (row && row.scrollWidth > row.clientWidth) row.scrollLeft = at.offsetLeft - row.clientWidth / 3;
  }
})();
