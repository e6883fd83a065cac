import { basename } from 'node:path'
import type { JsonSchema } from '../model.ts'
import { ImportReading, mapOf } from './import-reading.ts'
import type { Imported } from './imported.ts'
import { contractName, finishImport } from './imported.ts'

/**
 * A draft contract around one JSON Schema file, YAML or JSON, with one event whose data the schema describes. Names come
 * from the file; who produces and consumes is left to be written.
 *
 * @param path The schema. It may refer to files in its folder and below; nothing is fetched.
 */
export function importJsonSchema(path: string): Imported {
  const reading = new ImportReading(path)
  const { root } = reading
  if (root === undefined) return { findings: reading.findings }
  const schema = reading.plainSchema(root)
  if (schema === undefined) return { findings: reading.findings }
  const name = contractName(basename(path).replace(/(?:\.schema)?\.(?:json|ya?ml)$/i, ''))
  const { description, title } = mapOf(root)
  const purpose = [description, title].find(
    (text) => typeof text === 'string' && text.trim() !== '',
  )
  reading.lose(
    root,
    'a schema does not say who produces and who consumes its data, nor on which channel; the draft names none',
    'Write producers and consumers, and check the address of the channel.',
  )
  const event = {
    channel: name,
    purpose: purpose ?? `The data of ${name}.`,
    schema: schema as JsonSchema,
  }
  return finishImport(
    {
      ...{ treaty: 1, id: name, version: '0.1.0', status: 'draft', envelope: 'none' },
      purpose: `Imported from ${basename(path)}.`,
      channels: { [name]: { address: name } },
      events: { [name]: { ...event, ...schemaExamples(mapOf(root).examples) } },
    },
    reading.findings,
  )
}

function schemaExamples(examples: unknown): { examples?: readonly never[] } {
  return Array.isArray(examples) && examples.length > 0 ? { examples: examples as never[] } : {}
}
