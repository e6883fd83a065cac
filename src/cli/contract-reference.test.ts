import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { defineContract } from '../contracts/index.ts'
import { contractMarkdown, unexplainedKeys } from './contract-reference.ts'
import { note } from './reference.ts'

const root = resolve(import.meta.dirname, '..', '..')
const page = contractMarkdown(note)
/** The cells of a key's row in a section of the page. */
function cells(section: string, key: string): readonly string[] {
  const text = page.split(`\n## ${section}\n`)[1]?.split('\n## ')[0] ?? ''
  const row = text.split('\n').find((line) => line.startsWith(`| \`${key}\` |`)) ?? ''
  return row.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, ''))
}
const defaultOf = (section: string, key: string) => cells(section, key)[3]

describe('docs/reference/contract.md', () => {
  it('is what scripts/generate-docs.ts writes', () => {
    const written = readFileSync(join(root, 'docs', 'reference', 'contract.md'), 'utf8')
    expect(written, 'run node scripts/generate-docs.ts').toBe(page)
  })

  it('explains every key of the meta-schema', () => {
    expect(unexplainedKeys()).toEqual([])
  })

  it('gives kind and range of a value', () => {
    expect(cells('retry', 'attempts')[2]).toBe('whole number from 1 to 1000')
    expect(cells('channel', 'retention')[2]).toBe('[duration](#duration)')
    expect(cells('contract', 'channels')[2]).toBe('name → [channel](#channel)')
  })

  it('gives the defaults that a contract has which says nothing', () => {
    const { pattern, envelope, status, evolution, gate, consumers, commands, channels } =
      defineContract({
        id: 'shop.orders',
        version: '1.0.0',
        purpose: 'Tells of orders.',
        channels: { orders: { address: 'shop.orders' } },
        events: { 'order.placed': { channel: 'orders', purpose: 'It was placed.', schema: true } },
        commands: { 'order.check': { channel: 'orders', schema: true, handler: 'desk' } },
        producers: { shop: {} },
        consumers: { billing: { accepts: '^1.0.0', events: { 'order.placed': {} } } },
      })
    const billing = consumers.billing
    const command = commands['order.check']

    expect({
      status: `\`${status}\``,
      pattern: pattern.style,
      timing: `${pattern.timing}; sync for request-reply`,
      initiative: pattern.initiative,
      envelope: `\`${envelope}\``,
      policy: `\`${evolution.policy}\``,
      mode: `\`${evolution.mode}\``,
      block: gate.block.join(', '),
      retention: channels.orders?.retentionMs ?? 'for ever',
      timeout: `${(command?.timeoutMs ?? 0) / 1000}s`,
      attempts: `\`${billing?.retry.attempts}\``,
      base: `${(billing?.retry.baseMs ?? 0) / 1000}s`,
      cap: `${(billing?.retry.capMs ?? 0) / 60_000}m, or base where that is longer`,
      kept: `${(billing?.deadLetter.retentionMs ?? 0) / 86_400_000}d`,
      onDead: `\`${billing?.deadLetter.onDead}\``,
    }).toEqual({
      status: defaultOf('contract', 'status'),
      pattern: defaultOf('contract', 'pattern'),
      timing: defaultOf('pattern', 'timing'),
      initiative: defaultOf('pattern', 'initiative'),
      envelope: defaultOf('contract', 'envelope'),
      policy: defaultOf('evolution', 'policy'),
      mode: defaultOf('evolution', 'mode'),
      block: defaultOf('gate', 'block'),
      retention: defaultOf('channel', 'retention'),
      timeout: defaultOf('command', 'timeout'),
      attempts: defaultOf('retry', 'attempts'),
      base: defaultOf('retry', 'base'),
      cap: defaultOf('retry', 'cap'),
      kept: defaultOf('deadLetter', 'retention'),
      onDead: defaultOf('deadLetter', 'onDead'),
    })
  })
})
