import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { writeExample } from './generate-example.ts';
import { writeJsonSchema } from './generate-json-schema.ts';
import { writeReadme } from './generate-readme.ts';
import { schema } from './schema.ts';

/** The files that are written from the schema, by their path from the root of the project. */
export function generate(): ReadonlyMap<string, string> {
  return new Map([
    ['config/README.md', writeReadme(schema)],
    ['config/flytegate.example.yaml', writeExample(schema)],
    ['config/schema.json', writeJsonSchema(schema)],
  ]);
}

/** The generated files that do not say what the schema says. @param root folder of the project, as a URL ending in a slash */
export function findDrift(root: URL): readonly string[] {
  return [...generate()]
    .filter(([path, content]) => readIfThere(new URL(path, root)) !== content)
    .map(([path]) => path);
}

function readIfThere(file: URL): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // A file that is missing has drifted as far as it can; writing it tells when it cannot be written.
    return undefined;
  }
}

function run(isCheck: boolean): number {
  const root = new URL('../../', import.meta.url);
  const drifted = findDrift(root);
  if (!isCheck) for (const [path, content] of generate()) writeFileSync(new URL(path, root), content);
  for (const path of drifted)
    process.stdout.write(
      isCheck ? `${path} is not what src/config/schema.ts says: npm run generate\n` : `wrote ${path}\n`,
    );
  return isCheck && drifted.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = run(process.argv.includes('--check'));
