// Files as people hand them over: chosen, chosen as a folder, or dropped.

/** @typedef {{ file: File, path: string }} Chosen */

/**
 * Return what an input has, and empty it, so that the same file can be chosen again.
 * @param {HTMLInputElement} input
 * @returns {Chosen[]}
 */
export function takeChosen(input) {
  const files = Array.from(input.files ?? []);
  input.value = "";
  return files.map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}

/**
 * Return what was dropped, with every file of dropped folders.
 * @param {DataTransfer} dropped Empty once the event is over, so this takes all at once.
 * @returns {Promise<Chosen[]>}
 */
export async function takeDropped(dropped) {
  const items = Array.from(dropped.items).filter((item) => item.kind === "file");
  const taken = items.map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const found = taken.map(({ entry, file }) => {
    if (entry?.isDirectory) return walk(/** @type {FileSystemDirectoryEntry} */ (entry));
    return file ? [{ file, path: file.name }] : [];
  });
  return (await Promise.all(found)).flat();
}

/**
 * @param {FileSystemDirectoryEntry} folder
 * @returns {Promise<Chosen[]>}
 */
async function walk(folder) {
  const reader = folder.createReader();
  /** @type {Chosen[]} */
  const found = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return found; // it hands out a hundred at a time
    for (const entry of entries) {
      if (entry.isDirectory) {
        found.push(...(await walk(/** @type {FileSystemDirectoryEntry} */ (entry))));
      } else {
        const one = /** @type {FileSystemFileEntry} */ (entry);
        /** @type {File} */
        const file = await new Promise((resolve, reject) => one.file(resolve, reject));
        found.push({ file, path: entry.fullPath.replace(/^\//, "") });
      }
    }
  }
}
