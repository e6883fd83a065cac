import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { generateValue, seededRandom } from '../../src/testing/index.ts'

describe('generated values', () => {
  it('meets every official schema of a GitHub webhook but the one that nothing can satisfy', () => {
    const file = createRequire(import.meta.url).resolve('@octokit/webhooks-schemas/schema.json')
    const { $schema, definitions } = JSON.parse(readFileSync(file, 'utf8'))
    const names = Object.keys(definitions).filter((name) => name.endsWith('_event'))
    const impossible = names.filter((name) => {
      const schema = { $schema, definitions, allOf: [{ $ref: `#/definitions/${name}` }] }
      try {
        generateValue(schema, seededRandom(3))
        return false
      } catch {
        return true
      }
    })

    // Its `location` forbids every field beside a `oneOf` whose branches require two.
    expect(impossible).toEqual(['secret_scanning_alert_location_event'])
    expect(names.length).toBeGreaterThan(50)
  })
})
