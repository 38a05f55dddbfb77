import { z } from 'zod';
import { upstreamName } from './schema.ts';
import type { Entry, Fields, Section, Setting } from './setting.ts';

/** A JSON Schema (2020-12) of the settings file, for editors. It cannot say all that `check-config` knows. */
export function writeJsonSchema(schema: Section<Fields>): string {
  const document = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'flytegate settings',
    ...describe(schema),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function describe(entry: Entry): Record<string, unknown> {
  switch (entry.kind) {
    case 'setting':
      return describeSetting(entry);
    case 'section':
      return describeSection(entry);
    case 'rows':
      return {
        description: entry.doc,
        type: entry.isOptional ? ['array', 'null'] : 'array',
        ...(!entry.isOptional && { minItems: 1 }),
        maxItems: entry.max,
        items: describe(entry.row),
      };
    case 'named': {
      const propertyNames = { pattern: upstreamName.source };
      return {
        description: entry.doc,
        type: 'object',
        minProperties: 1,
        maxProperties: entry.max,
        propertyNames,
        additionalProperties: describe(entry.entry),
      };
    }
  }
}

function describeSection(section: Section<Fields>): Record<string, unknown> {
  const fields = Object.entries(section.fields);
  const required = fields.filter(([, entry]) => isRequired(entry)).map(([key]) => key);
  const isEmptyAllowed = required.length === 0;
  return {
    description: section.doc,
    // A key left empty is null in YAML.
    type: isEmptyAllowed ? ['object', 'null'] : 'object',
    properties: Object.fromEntries(fields.map(([key, entry]) => [key, describe(entry)])),
    ...(!isEmptyAllowed && { required }),
    additionalProperties: false,
  };
}

function isRequired(entry: Entry): boolean {
  if (entry.kind === 'setting') return entry.presence === 'required';
  // A preset has routes of its own.
  if (entry.kind === 'rows') return false;
  return entry.kind !== 'section' || Object.values(entry.fields).some(isRequired);
}

function describeSetting(setting: Setting<unknown>): Record<string, unknown> {
  const { $schema: _, ...form } = z.toJSONSchema(setting.schema, { io: 'input' });
  const description = [setting.doc, setting.bounds && `${setting.bounds} ${setting.unit}`.trim()]
    .filter(Boolean)
    .join(' · ');
  const value = { description, ...form, ...(setting.default !== undefined && { default: setting.default }) };
  // Left empty, an optional setting counts as left out.
  return setting.presence === 'optional' && 'type' in form ? { ...value, minLength: 0, pattern: undefined } : value;
}
