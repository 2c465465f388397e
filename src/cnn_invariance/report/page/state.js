// The state of the page stands in its address, behind the place that it leads to: #claims&text=rotation. Without a
// script the browser still goes to the place.
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

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
