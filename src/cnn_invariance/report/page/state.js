// The state of the page stands in its address, behind the place that it leads to: #claims&text=rotation. Without a
// script the browser still goes to the place.
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// What the page holds packed, as a response; a browser that cannot unpack it rejects.
const unpacked = async (text, format) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format)));
};
// Hand the reader a file.
const save = (name, content) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href));
};

const address = {
  place: () => decodeURIComponent(location.hash.slice(1).split("&")[0]),
  values: () => new URLSearchParams(location.hash.slice(1).split("&").slice(1).join("&")),
  // What is done when the page is opened, and when the reader goes to another address of it.
  follow(restore) {
    restore();
    addEventListener("hashchange", restore);
  },
  // Change some values, and the place if one is given; null removes a value.
  set(changes, place = address.place()) {
    const values = address.values();
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === "") values.delete(name);
      else values.set(name, value);
    }
    const text = values.toString();
    const hash = place || text ? `#${encodeURIComponent(place)}${text ? `&${text}` : ""}` : "";
    if (hash !== location.hash) history.replaceState(null, "", hash || location.pathname + location.search);
  },
};
