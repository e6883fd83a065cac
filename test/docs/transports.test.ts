import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openTransport } from '../../src/messaging/open-transport.ts'
import { transportFacts, transportNames } from './transports-facts.ts'
import { transportsMarkdown } from './transports-page.ts'
import { keptRun, mergeRuns, readRun } from './transports-run.ts'

const reference = join(import.meta.dirname, '..', '..', 'docs', 'reference')
const page = readFileSync(join(reference, 'transports.md'), 'utf8')
/** Milliseconds: seven transports are loaded, which takes a busy machine its time. */
const loadingMs = 120_000
const run = keptRun(readFileSync(join(reference, 'conformance.json'), 'utf8'))

it(
  'the page of the transports is what their records and the last run say (else: node scripts/generate-transports.ts)',
  async () => {
    expect(page).toBe(await transportsMarkdown(run))
  },
  loadingMs,
)

it('the last run failed nowhere', () => {
  expect(page).not.toContain('**fails**')
  expect(page).not.toMatch(/\*\*\d+ fail\*\*/)
})

it(
  'every word that is said of a transport has its source or its consequence on the page',
  async () => {
    for (const name of transportNames) {
      const { capabilities } = await openTransport(transportFacts[name].url)
      for (const text of Object.values({ ...capabilities.denials, ...capabilities.emulations })) {
        expect(page).toContain(text.slice(1))
      }
    }
  },
  loadingMs,
)

it.each(['kafka', 'nats', 'rabbitmq', 'redis'] as const)(
  'every option that a URL of %s may have is on the page (else: test/docs/transports-facts.ts)',
  (name) => {
    const read = readFileSync(
      join(reference, '..', '..', 'src', 'messaging', 'transports', name, 'url.ts'),
      'utf8',
    )
    const list = /^const (?:known|options) = \[(.*?)\]/ms.exec(read)?.[1] ?? ''
    const known = [...list.matchAll(/'(\w+)'/g)].map(([, option]) => option)

    expect(known.length).toBeGreaterThan(0)
    expect(Object.keys(transportFacts[name].options).sort()).toEqual(known.sort())
  },
)

const reportOf = (title: string, statuses: readonly (readonly [string, string])[]) =>
  JSON.stringify({
    startTime: 0,
    testResults: [
      {
        name: '/x/test/conformance/transport.kafka-faults.test.ts',
        assertionResults: statuses.map(([own, status]) => {
          return { ancestorTitles: [title], title: own, status }
        }),
      },
    ],
  })

it('a behaviour that was tried twice counts as its worse end, and what is no behaviour is counted beside', () => {
  const whole = readRun(
    reportOf('kafka, that dies, keeps the transport contract', [
      ['1 delivers', 'passed'],
      ['1 delivers', 'failed'],
      ['2 resolves', 'pending'],
    ]),
  )
  const beside = readRun(reportOf('a server of its own', [['refuses', 'passed']]))

  expect(whole.kafka?.behaviours['1']?.status).toBe('failed')
  expect(whole.kafka?.behaviours['2']?.status).toBe('skipped')
  expect(beside.kafka?.further).toEqual({ 'a server of its own › refuses': 'passed' })
})

it('a behaviour that was tried again alone replaces only itself', () => {
  const suite = 'kafka keeps the transport contract'
  const before = readRun(
    reportOf(suite, [
      ['1 delivers', 'failed'],
      ['2 resolves', 'passed'],
      ['3 reports', 'passed'],
    ]),
  )
  const again = readRun(
    reportOf(suite, [
      ['1 delivers', 'passed'],
      ['2 resolves', 'pending'],
      ['3 reports', 'pending'],
    ]),
  )

  const merged = mergeRuns(before, again).kafka?.behaviours ?? {}
  expect(Object.values(merged).map(({ status }) => status)).toEqual(['passed', 'passed', 'passed'])
})
