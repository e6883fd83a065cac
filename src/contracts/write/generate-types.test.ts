import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadContractsSync, readContractText } from '../loader.ts'
import type { Contract } from '../model.ts'
import { generateTypes } from './generate-types.ts'

const root = mkdtempSync(join(tmpdir(), 'treaty-types-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const contract = readContractText(`treaty: 1
id: shop.orders
version: 1.0.0
purpose: Tells every service that an order was placed.
channels: { orders: { address: shop.orders } }
events:
  order.placed:
    channel: orders
    purpose: Sent when a checkout has been paid. */ export const x = 1 /*
    schema:
      $schema: http://json-schema.org/draft-07/schema#
      title: Something else
      type: object
      required: [orderId, total]
      tsType: any
      properties:
        orderId: { type: string, description: 'Ends a comment: */' }
        total: { $ref: '#/definitions/money' }
        state: { enum: [open, paid, null] }
        labels: { type: object, additionalProperties: { type: string } }
        free: { type: object }
        odd: { type: object, properties: { a: { type: string } }, additionalProperties: { type: number } }
        "it's": { type: string }
      definitions: { money: { type: object, required: [amount], properties: { amount: { type: integer }, in: { $ref: '#/definitions/currency' } } }, currency: { const: EUR } }
  tree.grown:
    channel: orders
    purpose: Sent when a tree has grown.
    deprecated: { since: 1.0.0 }
    schema:
      type: object
      properties:
        left: { $ref: '#' }
        pair: { type: array, prefixItems: [{ type: string }, { type: integer }], items: false }
        shape: { oneOf: [{ type: object, required: [kind], properties: { kind: { const: circle }, r: { type: number } } }, { type: object, required: [kind], properties: { kind: { const: square } } }] }
        money: { $ref: '#/$defs/money' }
      $defs: { money: { type: string } }
commands:
  payment.capture: { channel: orders, schema: { type: object, required: [id], properties: { id: { type: string } } }, reply: { type: object, required: [ok], properties: { ok: { type: boolean } } }, errors: { declined: { type: object, properties: { why: { type: string } } } }, handler: payments }
  ping: { channel: orders, schema: { type: object }, handler: payments }
producers: { order-service: {} }
consumers:
  billing: { accepts: ^1, events: { order.placed: {}, tree.grown: {} } }
  audit: { accepts: ^1, events: { order.placed: {} } }
`).contract as Contract

/** Compiles the text beside a program that uses it; what the compiler says. */
function compile(types: string, program: string): string {
  writeFileSync(join(root, 'treaty.gen.d.ts'), types)
  writeFileSync(
    join(root, 'program.ts'),
    `import type { Contracts } from './treaty.gen.d.ts'\n${program}`,
  )
  const tsc = join(import.meta.dirname, '../../../node_modules/.bin/tsc')
  const options = [
    '--ignoreConfig',
    '--noEmit',
    '--strict',
    '--exactOptionalPropertyTypes',
    '--types',
    '',
    '--allowImportingTsExtensions',
    '--module',
    'esnext',
    '--moduleResolution',
    'bundler',
    '--target',
    'es2022',
  ]
  try {
    return execFileSync(tsc, [...options, 'program.ts'], { cwd: root, encoding: 'utf8' })
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}

/** One declaration a line, each under a name of its own. */
function numbered(lines: readonly string[]): string {
  return lines.map((line, at) => line.replace('NAME', `x${at}`)).join('\n')
}

describe('generated types', () => {
  it('compile, and take what a producer may write', async () => {
    const said = compile(
      await generateTypes([contract]),
      `
type Placed = Contracts['events']['order.placed']
export const placed: Placed = { orderId: 'a', total: { amount: 1, in: 'EUR' }, state: null, labels: { a: 'b' }, free: { x: [1] }, odd: { a: 'x', b: 7 }, "it's": '' }
export const tree: Contracts['events']['tree.grown'] = { left: { left: {} }, pair: ['a', 1], shape: { kind: 'circle', r: 2 }, money: 'x' }
export const capture: Contracts['commands']['payment.capture'] = { data: { id: 'x' }, reply: { ok: true }, errors: { declined: { why: 'x' } } }
export const ping: Contracts['commands']['ping']['reply'] = undefined
export const billing: Contracts['consumers']['billing'][] = ['order.placed', 'tree.grown']
export type IsContract = Contracts extends { events: Record<string, unknown>; commands: Record<string, { data: unknown; reply: unknown; errors: Record<string, unknown> }>; consumers: Record<string, string> } ? true : false
export const isContract: IsContract = true
`,
    )
    expect(said).toBe('')
  })

  it('refuse what the contract does not say', async () => {
    const wrong: readonly (readonly [what: string, line: string])[] = [
      ['a misspelt event', "export type NAME = Contracts['events']['order.plcaed']"],
      [
        'a missing field',
        "export const NAME: Contracts['events']['order.placed'] = { orderId: 'a' }",
      ],
      [
        'an undeclared field',
        "export const NAME: Contracts['events']['order.placed'] = { orderId: 'a', total: { amount: 1 }, extra: 1 }",
      ],
      [
        'an undeclared field inside',
        "export const NAME: Contracts['events']['order.placed'] = { orderId: 'a', total: { amount: 1, extra: 1 } }",
      ],
      ['another type', "export const NAME: Contracts['events']['tree.grown'] = { pair: [1, 'a'] }"],
      [
        'a reply of another form',
        "export const NAME: Contracts['commands']['payment.capture']['reply'] = { ok: 'yes' }",
      ],
      [
        'an event that the consumer does not list',
        "export const NAME: Contracts['consumers']['audit'] = 'tree.grown'",
      ],
    ]
    const said = compile(await generateTypes([contract]), numbered(wrong.map(([, line]) => line)))
    const lines = [...said.matchAll(/^program\.ts\((\d+),\d+\): error TS/gm)].map(([, line]) =>
      Number(line),
    )
    // The import is line 1.
    const refused = wrong.filter((_, at) => lines.includes(at + 2)).map(([what]) => what)
    expect(refused).toEqual(wrong.map(([what]) => what))
  })

  it('carry the purpose and nothing that a schema smuggles in', async () => {
    const text = await generateTypes([contract])
    expect(text).toContain('Sent when a checkout has been paid. *\\/ export const x = 1 /*')
    expect(text).toContain('@deprecated')
    expect(text).not.toMatch(/\bany\b/)
    expect(text).not.toContain('referenced by')
  })

  it('name each message, and its reply and errors', async () => {
    const text = await generateTypes([contract])
    const exported = [...text.matchAll(/^export (?:interface|type) (\w+)/gm)].map(
      ([, name]) => name,
    )
    expect(exported).toEqual(
      expect.arrayContaining([
        'Contracts',
        'OrderPlaced',
        'TreeGrown',
        'PaymentCapture',
        'PaymentCaptureReply',
        'PaymentCaptureDeclined',
      ]),
    )
    expect(new Set(exported).size).toBe(exported.length)
  })

  it('give definitions of one name and different content a type each', async () => {
    const text = await generateTypes([contract])
    expect(text).toMatch(/export interface OrderPlacedMoney \{\n {2}amount: number/)
    expect(text).toMatch(/export type TreeGrownMoney = string/)
  })

  it('are the same text for the same contracts', async () => {
    expect(await generateTypes([contract])).toBe(await generateTypes([contract]))
  })

  it('share the types of a large document among its events', async () => {
    const { contracts } = loadContractsSync('contracts/github-webhooks')
    const text = await generateTypes(contracts)
    const exported = [...text.matchAll(/^export (?:interface|type) (\w+)/gm)].map(
      ([, name]) => name,
    )
    expect(exported.filter((name) => /^Repository\d*$/.test(name ?? ''))).toEqual(['Repository'])
    expect(compile(text, 'export type X = Contracts')).toBe('')
  })
})
