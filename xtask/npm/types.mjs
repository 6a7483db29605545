// Writes the TypeScript types of a component, as a JavaScript host sees it: node types.mjs TOOLS COMPONENT FOLDER
import { createRequire } from 'node:module';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [tools, component, folder] = process.argv.slice(2);
const find = createRequire(join(tools, 'package.json'));
const { transpile } = await import(pathToFileURL(find.resolve('@bytecodealliance/jco-transpile')).href);
const { files } = await transpile(component, { name: 'reverse_sync', outDir: folder });
for (const [path, bytes] of Object.entries(files).filter(([path]) => path.endsWith('.d.ts'))) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
}
