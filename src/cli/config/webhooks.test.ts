import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Contract } from '../../contracts/index.ts'
import type { TreatyError } from '../../core/errors.ts'
import { webhookContractMistakes } from '../../webhooks/index.ts'
import { createMasker } from '../masking.ts'
import { webhookFindings } from './file.ts'
import { loadSettings } from './load.ts'

const good = `webhooks:
  sources:
    github:
      path: /incoming/github
      verify: { scheme: github, secrets: [secret://env/NEW, secret://store/old], tolerance: 5m }
      event: { header: X-GitHub-Event, prefix: github. }
      limits: { body: 512KiB, rate: 200/s }
    acme:
      verify:
        scheme: { header: X-Sig, format: raw, algorithm: sha256, encoding: hex, secretEncoding: utf8, content: '{body}' }
        secrets: secret://env/ACME
      event: order.placed
  sender: { consumers: partners, schedule: [1s, 1m], egress: { ports: any } }
  endpoints:
    one: { url: https://a.example/, events: order.*, filter: data.total > 100.0, rate: 5/s, order: key, onExhausted: stop }
`

function fileWith(text: string): { cwd: string; path: string } {
  const cwd = mkdtempSync(join(tmpdir(), 'treaty-webhooks-'))
  const path = join(cwd, 'treaty.config.yaml')
  writeFileSync(path, text)
  return { cwd, path }
}

async function findings(text: string): Promise<string[]> {
  const { cwd } = fileWith(text)
  const options = { cwd, environment: {}, args: {}, masker: createMasker() }
  const error = await loadSettings(options).then(
    () => undefined,
    (thrown: TreatyError) => thrown,
  )
  return (error?.findings ?? []).map(({ line, message }) => `${line}: ${message}`)
}

describe('the section webhooks', () => {
  it('is taken as it is documented', async () => {
    expect(await findings(good)).toEqual([])
  })

  it.each([
    ['path: /incoming/github', 'path: /api/hooks', '4: the server itself answers at /api/hooks'],
    ['path: /incoming/github', 'path: hooks/', '4: `hooks/` is no path for a source'],
    [
      'path: /incoming/github',
      'path: /hooks/acme',
      '8: the sources github and acme have the same path /hooks/acme',
    ],
    [
      'secret://env/NEW',
      'plain',
      '5: `webhooks.sources.github.verify.secrets.0` must be a reference to a secret, not the secret',
    ],
    [
      'tolerance: 5m',
      'tolerance: soon',
      '5: `webhooks.sources.github.verify.tolerance` is not a duration such as 200ms, 5s or 2m',
    ],
    [
      'scheme: github',
      'scheme: githib',
      '5: `webhooks.sources.github.verify.scheme` is none of standard-webhooks, svix, stripe, github, slack, shopify, twilio, hubspot-v3, discord',
    ],
    ['header: X-GitHub-Event, ', '', '6: `event` needs exactly one of `header` and `field`'],
    [
      'body: 512KiB',
      'body: much',
      '7: `webhooks.sources.github.limits.body` is not a size such as 65536, 512KiB or 1MiB',
    ],
    [
      'rate: 200/s',
      'rate: 0/s',
      '7: `webhooks.sources.github.limits.rate` is not a rate such as 10/s, 600/m or 5000/h',
    ],
    [
      '      event: order.placed\n',
      '',
      '8: the source acme needs exactly one of `event` and `handle`',
    ],
    ['format: raw, ', '', '10: `webhooks.sources.acme.verify.scheme` lacks the key `format`'],
    [
      'data.total > 100.0',
      'dat.total > 100.0',
      '15: the filter does not compile at character 1: unknown variable: dat',
    ],
    ['events: order.*', 'events: order..x', '15: `order..x` is no pattern of event types'],
    ['order: key, ', '', '15: `onExhausted` of one means nothing without an order'],
    ['url: https://a.example/', 'url: a.example', '15: the endpoint one has a `url` that is none'],
    [
      'rate: 5/s',
      'headers: { webhook-id: x }',
      '15: the header webhook-id cannot be set for an endpoint',
    ],
    [
      'rate: 5/s',
      "headers: { x-key: 'secret://env/X' }",
      '15: the header x-key is shown to people, so it cannot hold a secret',
    ],
    ['consumers:', 'consumer:', '13: unknown key `consumer` in `webhooks.sender`'],
  ])('with %j as %j is refused with its place', async (from, to, expected) => {
    expect(good).toContain(from)
    expect(await findings(good.replace(from, to))).toContain(expected)
  })

  it('that names what no contract has is refused with the place, and a deaf endpoint is a warning', () => {
    const { path, cwd } = fileWith(good)
    const contract = { events: { 'invoice.paid': {} }, consumers: {} } as unknown as Contract
    const section = {
      sources: { acme: { verify: 'unsigned', event: 'order.placed' } },
      sender: { consumers: 'partners' },
      endpoints: { one: { url: 'https://a.example/', events: 'order.*' } },
    } as const
    const found = webhookFindings(path, webhookContractMistakes(section, [contract]), cwd)
    expect(found.map(({ line, severity, message }) => [line, severity, message])).toEqual([
      [12, 'error', 'no loaded contract has the event `order.placed` of the source acme'],
      [
        13,
        'error',
        'no loaded contract has the consumer `partners`, whose messages were to go out',
      ],
      [
        15,
        'warning',
        'no event of the loaded contracts is one that the endpoint one subscribes to',
      ],
    ])
  })
})
