import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Choices, randomRecursiveSchema } from '../compat/random-schemas.test.kit.ts'
import { readContractText } from '../loader.ts'
import { contractToSource } from '../read/contract-yaml.ts'
import { drafts, uriOfDraft } from '../schema/draft.ts'
import { exportAsyncApi } from './export.ts'
import { importAsyncApi } from './import.ts'

const folder = mkdtempSync(join(tmpdir(), 'treaty-round-trip-'))

describe('a contract with any schema, of any draft', () => {
  it('comes back from its AsyncAPI document as it was', () => {
    const counts = { carried: 0 }
    fc.assert(
      fc.property(
        fc.integer(),
        fc.constantFrom(...drafts),
        fc.boolean(),
        (seed, draft, isNamed) => {
          const schema = randomRecursiveSchema(new Choices(seed), draft)
          const isSaid = isNamed || draft !== '2020-12'
          const { contract } = readContractText(
            JSON.stringify({
              ...{ treaty: 1, id: 'law', version: '1.0.0', purpose: 'Holds for any schema.' },
              ...{ status: 'draft', envelope: 'none', channels: { all: { address: 'all' } } },
              events: {
                any: {
                  ...{ channel: 'all', purpose: 'Carries anything.' },
                  schema: { ...(isSaid ? { $schema: uriOfDraft(draft) } : {}), ...schema },
                },
              },
            }),
          )
          if (contract === undefined) return
          counts.carried += 1
          const file = join(folder, 'asyncapi.json')
          writeFileSync(file, JSON.stringify(exportAsyncApi(contract)))
          const { contract: again } = importAsyncApi(file)
          expect(again && contractToSource(again)).toEqual(contractToSource(contract))
        },
      ),
      { numRuns: 300 },
    )
    expect(counts.carried).toBeGreaterThan(100)
  })
})
