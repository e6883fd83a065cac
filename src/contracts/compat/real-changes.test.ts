import { describe, expect, test } from 'vitest'
import type { JsonSchema } from '../model.ts'
import { compareSchemas } from './compare-schemas.ts'
import { isSubset } from './subset.ts'

const closed = (properties: Record<string, JsonSchema>) => ({
  type: 'object',
  properties,
  additionalProperties: false,
})
const draft07 = 'http://json-schema.org/draft-07/schema#'

/** Shapes of changes that vendors made to their events; what was read is in docs/explanation/real-changes.md. */
describe('changes that vendors really made', () => {
  test('a nullable object that gains an optional field breaks its old readers', () => {
    const event = (fields: Record<string, JsonSchema>): JsonSchema => ({
      $schema: draft07,
      definitions: { repo: closed(fields) },
      ...closed({ repo: { oneOf: [{ $ref: '#/definitions/repo' }, { type: 'null' }] } }),
    })
    const id: JsonSchema = { type: 'integer' }
    const verdict = compareSchemas(event({ id }), event({ id, note: { type: 'string' } }))
    expect(verdict).toMatchObject({ verdict: 'compatible', bump: 'minor' })
  })

  test('an optional field of any type is taken for one that was there with another type', () => {
    const before: JsonSchema = { type: 'object', properties: { id: { type: 'integer' } } }
    const after: JsonSchema = {
      type: 'object',
      properties: { id: { type: 'integer' }, note: { type: 'string' } },
    }
    // As written, an old message may carry any `note`; no producer that the runtime lets send does.
    expect(isSubset(before, after).verdict).toBe('breaking')
    expect(compareSchemas(before, after).verdict).toBe('compatible')
  })

  test('a new value of an enum is told to readers only, and names the value', () => {
    const event = (visibility: string[]): JsonSchema => closed({ visibility: { enum: visibility } })
    const { backward, forward } = compareSchemas(
      event(['public', 'private']),
      event(['public', 'private', 'internal']),
    )
    expect(backward?.verdict).toBe('compatible')
    expect(forward).toMatchObject({
      verdict: 'breaking',
      witness: { visibility: 'internal' },
      instancePointer: '/visibility',
    })
  })

  test('a union that refuses a value says which value', () => {
    const event = (types: string[]): JsonSchema =>
      closed({ cost: { anyOf: types.map((type) => ({ type })) } })
    expect(isSubset(event(['number', 'null']), event(['number', 'boolean']))).toMatchObject({
      witness: { cost: null },
      reason: '/cost is null, which no branch of anyOf takes',
    })
  })
})
