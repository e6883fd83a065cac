import { existsSync, statfsSync } from 'node:fs'
import { createServer } from 'node:net'
import { resolve } from 'node:path'
import { isTreatyError } from '../../core/errors.ts'
import { type Finding, hasErrors } from '../../core/finding.ts'
import { hasSecretReference, redactUrl } from '../../core/secret.ts'
import type { CommandContext } from '../command.ts'
import { secretTexts } from '../config/broker-extras.ts'
import type { Settings } from '../config/settings.ts'
import { countFindings, plural } from '../finding-text.ts'
import { withPatience } from '../patience.ts'
import { loadProjectContracts } from '../project.ts'
import { outboxChecks, transportChecks } from './broker-checks.ts'
import { type Check, failed, passed, unborn, unbornCheck } from './check.ts'

const nodeMajorMin = 24
/** Bytes of free space below which writes are at risk, and below which they are likely to fail. */
const freeBytesWarn = 1_073_741_824
const freeBytesFail = 67_108_864

export interface Diagnosis {
  readonly checks: readonly Check[]
  /** The mistakes of the configuration, each with its place. */
  readonly findings: readonly Finding[]
}

/** Everything that can be looked at, in the order in which one builds on the other. Never throws. */
export async function runChecks(context: CommandContext): Promise<Diagnosis> {
  const checks: Check[] = [nodeCheck(process.versions.node), clockCheck(context.clock.now())]
  let settings: Settings
  try {
    settings = await context.settings()
  } catch (error) {
    checks.push(failed('config', 'configuration', 'a valid configuration', error))
    return { checks, findings: isTreatyError(error) ? error.findings : [] }
  }
  checks.push(configCheck(settings))
  checks.push(...secretChecks(settings, context))
  checks.push(await contractsCheck(context))
  checks.push(modulesCheck(settings))
  const atBroker = transportChecks(settings, context)
  checks.push(...(await withPatience(context, settings.transport, atBroker)))
  checks.push(await storeCheck(settings, context))
  checks.push(...(await outboxChecks(settings, context)))
  checks.push(diskCheck(settings.folder))
  checks.push(await portCheck(settings.server.port, settings.server.host))
  return { checks, findings: [] }
}

export function nodeCheck(version: string): Check {
  const isFine = Number(version.split('.')[0]) >= nodeMajorMin
  const expected = `${nodeMajorMin} or newer`
  if (isFine) return passed('node', 'Node', version, expected)
  return {
    id: 'node',
    title: 'Node',
    status: 'fail',
    found: version,
    expected,
    fix: 'Run npm install --save-dev node@24.',
  }
}

/** A machine whose clock was never set stamps messages that sort before all others. */
export function clockCheck(nowMs: number): Check {
  const found = Number.isFinite(nowMs) ? new Date(nowMs).toISOString() : 'no time'
  const expected = 'a date after 2026'
  if (nowMs > Date.UTC(2026, 0, 1)) return passed('clock', 'clock', found, expected)
  return {
    id: 'clock',
    title: 'clock',
    status: 'fail',
    found,
    expected,
    fix: 'Set the clock of this machine.',
  }
}

function configCheck({ file, fileSettings }: Settings): Check {
  const expected = 'a valid configuration, or none'
  const found =
    file === undefined ? 'none, all defaults' : `valid, ${plural(fileSettings, 'setting')}`
  return passed('config', file?.split('/').at(-1) ?? 'configuration', found, expected)
}

function secretChecks(settings: Settings, context: CommandContext): Check[] {
  const texts = [
    settings.transport,
    settings.store ?? '',
    ...secretTexts(settings),
    ...settings.server.keys.map(({ key }) => key ?? ''),
    ...settings.services.flatMap(({ env }) => Object.values(env)),
    ...textsIn(settings.connectors),
    ...textsIn(settings.webhooks),
  ].filter(hasSecretReference)
  if (texts.length === 0) return []
  const expected = 'every secret reference resolves'
  for (const text of texts) {
    try {
      context.reveal(text)
    } catch (error) {
      return [failed('secrets', 'secrets', expected, error)]
    }
  }
  return [passed('secrets', 'secrets', plural(texts.length, 'reference'), expected)]
}

/** Every text in a section of the configuration. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}

async function contractsCheck(context: CommandContext): Promise<Check> {
  const expected = 'contracts without errors'
  try {
    const { contracts, findings } = await loadProjectContracts(context)
    const found = `${plural(contracts.length, 'contract')}, ${countFindings(findings)}`
    if (findings.every(({ severity }) => severity === 'info'))
      return passed('contracts', 'contracts', found, expected)
    const status = hasErrors(findings) ? 'fail' : 'warn'
    return {
      id: 'contracts',
      title: 'contracts',
      status,
      found,
      expected,
      fix: 'Run treaty check.',
    }
  } catch (error) {
    return failed('contracts', 'contracts', expected, error)
  }
}

function modulesCheck({ handlers, feeds, services, webhooks, folder }: Settings): Check {
  const sources = Object.values(webhooks?.sources ?? {})
  const paths = [
    ...sources
      .flatMap(({ map, handle }) => map ?? handle ?? [])
      .map((path) => resolve(folder, path)),
    ...handlers,
    ...feeds.map(({ module }) => module),
    ...services.flatMap(({ module }) => module ?? []),
  ]
  const expected = 'every module that the configuration names'
  const missing = paths.filter((path) => !existsSync(path))
  const title = 'handlers and services'
  if (paths.length === 0) {
    return { id: 'modules', title, status: 'skip', found: 'none configured', expected, fix: null }
  }
  if (missing.length === 0)
    return passed('modules', title, plural(paths.length, 'module'), expected)
  const fix =
    'Correct handlers, feeds, services or webhooks in the configuration. See treaty explain MODULE_INVALID.'
  return {
    id: 'modules',
    title,
    status: 'fail',
    found: `not there: ${missing.join(', ')}`,
    expected,
    fix,
  }
}

async function storeCheck(settings: Settings, context: CommandContext): Promise<Check> {
  const [{ openStore }, { storeUrlFor }] = await Promise.all([
    import('../../store/index.ts'),
    import('../../messaging/index.ts'),
  ])
  const url = settings.store ?? storeUrlFor(settings.transport)
  const title = `store ${redactUrl(url)}`
  const path = unborn(url)
  if (path !== undefined) return unbornCheck('store', title, path)
  try {
    const store = await openStore(context.reveal(url), { clock: context.clock })
    await store.close()
    return passed('store', title, `opens, ${store.kind}`, 'a store that opens')
  } catch (error) {
    return failed('store', title, 'a store that opens', error)
  }
}

function diskCheck(folder: string): Check {
  const facts = statfsSync(folder)
  return freeSpaceCheck(facts.bavail * facts.bsize)
}

export function freeSpaceCheck(freeBytes: number): Check {
  const found = `${(freeBytes / 1_073_741_824).toFixed(1)} GiB free`
  const expected = 'at least 1 GiB free'
  if (freeBytes >= freeBytesWarn) return passed('disk', 'disk', found, expected)
  const status = freeBytes < freeBytesFail ? 'fail' : 'warn'
  return { id: 'disk', title: 'disk', status, found, expected, fix: 'Free space on this volume.' }
}

function portCheck(port: number, host: string): Promise<Check> {
  const expected = 'a free port'
  const title = `port ${port}`
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      const found = error.code === 'EADDRINUSE' ? 'in use, perhaps by treaty itself' : error.message
      const fix = 'Stop the other process, or choose another with --port.'
      resolve({ id: 'port', title, status: 'warn', found, expected, fix })
    })
    server.listen(port, host, () => {
      server.close(() => resolve(passed('port', title, 'free', expected)))
    })
  })
}
