// Tables to download stand in the page packed, as files that end in .csv.gz, which is what a reader gets without a script.
// With one, it is unpacked first.
for (const link of all('a[download$=".csv.gz"]')) {
  const packed = link.download, name = packed.replace(/\.gz$/, "");
  if (!("DecompressionStream" in window)) break;
  link.textContent = link.textContent.replace(packed, name);
  link.addEventListener("click", async (event) => {
    event.preventDefault();
    save(name, await (await unpacked(link.href.split(",")[1], "gzip")).text());
  });
}
