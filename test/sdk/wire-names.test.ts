import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { DescField, DescFile } from '@bufbuild/protobuf';
import { requireSdk } from '../sdk-environment.ts';

const sdk = requireSdk();
const src = join(import.meta.dirname, '../../src');
const folders = ['flyte/gen/flyteidl', 'flyte/gen/flyteidl2', 'demo/gen/flyteidl', 'demo/gen/flyteidl2'];

describe('the protobuf that we wrote in our own words', { skip: sdk.skip }, () => {
  it('has the names and numbers that Flyte’s own has', async () => {
    const files = (await Promise.all(folders.map(filesIn))).flat();
    assert.ok(files.length > 12 && files.some(({ name }) => name === 'flyteidl2/auth/identity'), 'all of them');
    const each = <T>(of: (file: DescFile) => T) =>
      Object.fromEntries(files.map((file) => [`${file.name}.proto`, of(file)]));
    const ours = {
      messages: each(({ messages }) =>
        Object.fromEntries(messages.map(({ name, fields }) => [name, fields.map(shape)])),
      ),
      enums: each(({ enums }) =>
        Object.fromEntries(
          enums.map(({ name, values }) => [
            name,
            Object.fromEntries(values.map((value) => [value.name, value.number])),
          ]),
        ),
      ),
      methods: each(({ services }) =>
        services.flatMap((service) =>
          service.methods.map(({ name, input, output, methodKind }) => [
            ...[service.name, name, input.typeName, output.typeName],
            methodKind === 'server_streaming',
          ]),
        ),
      ),
    };
    const input = JSON.stringify(ours);
    const script = join(import.meta.dirname, 'wire_names.py');
    const { stdout, stderr } = spawnSync(sdk.path, [script], { input, encoding: 'utf8', timeout: 60_000 });
    assert.deepEqual(JSON.parse(stdout || `"${stderr}"`), [], 'ours, and theirs');
  });
});

/** The descriptors of generated files. */
async function filesIn(folder: string): Promise<DescFile[]> {
  const paths = globSync('**/*_pb.ts', { cwd: join(src, folder) });
  const modules: unknown[] = await Promise.all(paths.map((path) => import(join(src, folder, path))));
  return modules.flatMap((module) => Object.values(Object(module)).filter(isFile));
}

function isFile(value: unknown): value is DescFile {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'file';
}

/** A field's name, number, type and whether it is repeated; the type by name where it is a message or enum, else by its number in descriptor.proto. */
function shape(field: DescField): [string, number, string | number, boolean] {
  const { name, number, message, enum: enumeration } = field;
  return [
    name,
    number,
    message?.typeName ?? enumeration?.typeName ?? Number(field.proto.type),
    field.fieldKind === 'list',
  ];
}
