import { relative } from 'node:path'
import type { Contract } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import { errorMessage, isTreatyError } from '../../core/errors.ts'
import type { BusStats, SettledEvent } from '../../messaging/index.ts'
import type { Registry } from '../../registry/index.ts'
import { createServer, type Server } from '../../server/index.ts'
import type { ReceiverEvent, SenderEvent } from '../../webhooks/index.ts'
import type { CommandContext, CommandResult } from '../command.ts'
import { projectContracts } from '../project.ts'
import { bannerText } from './banner.ts'
import { type CallQueues, drainedText, startCallQueues } from './call-queues.ts'
import { countsText, deadText, fillTemplate, restText, serviceText, settledText } from './lines.ts'
import { makePlan, type StartPlan, type StoreArguments } from './plan.ts'
import { createModuleReloader, watchFiles } from './reload.ts'
import { openServedRegistry, registerAll, type ServedRegistry } from './served-registry.ts'
import { openSession, type Session } from './session.ts'
import { createSpeaker, type Speaker } from './speaker.ts'
import type { StatusTarget } from './status-line.ts'
import { putAside, storeFile } from './store-file.ts'
import { createSupervisor, type ServiceEvent, type Supervisor } from './supervisor.ts'
import { createBusWatcher } from './watcher.ts'
import {
  createSparing,
  createWebhookTally,
  untilIdle,
  type WebhookTally,
  webhookLines,
  webhookTable,
} from './webhook-ledger.ts'
import {
  checkAgainstContracts,
  openDoor,
  problemText,
  senderText,
  type WebhookDoor,
} from './webhooks.ts'

export interface RunOptions {
  /** Name of the command, for people. */
  readonly command: 'start' | 'dev' | 'serve'
  readonly fresh: boolean
  readonly arguments: StoreArguments
  /** Version of the package. */
  readonly version: string
  /** Where the status line is drawn. */
  readonly terminal: StatusTarget
  /** What handlers print to. */
  readonly output: StatusTarget
}

/** What a run came to. */
export interface RunSummary {
  readonly url: string
  readonly published: number
  readonly handled: number
  readonly dead: number
  readonly waiting: number
}

/**
 * Runs until the context says stop: port first, so that a taken one touches nothing; then bus, handlers, services,
 * feeds. A second stop signal kills what has not ended.
 *
 * @throws PORT_IN_USE · KEYS_REQUIRED · CONTRACT_INVALID · MODULE_INVALID · the STORE_ codes
 */
export async function run(
  context: CommandContext,
  options: RunOptions,
): Promise<CommandResult<RunSummary>> {
  const startedAt = context.clock.monotonic()
  const plan = await makePlan(context, options.arguments, options.command !== 'serve')
  const say = createSpeaker(context, options)
  const server = createServer({
    host: plan.host,
    port: plan.port,
    keys: plan.keys,
    allowedHosts: plan.allowedHosts,
    ...(plan.rateLimit === undefined ? {} : { rateLimit: plan.rateLimit }),
    confluentAt: plan.confluentAt,
    clock: context.clock,
    version: options.version,
    onUnforeseen: (error, id) => say.line('server', `request ${id}: ${errorMessage(error.cause)}`),
  })
  const tally = createWebhookTally()
  const door =
    plan.webhooks &&
    (await openDoor(server, plan.webhooks.config, tellOf(say, tally, context.clock)))
  const url = await server.listen()
  const runner = new Runner(context, options, { plan, server, say, url, door, tally })
  try {
    await runner.begin(startedAt)
    await runner.untilStopped()
  } finally {
    await runner.end()
  }
  const data = runner.summary()
  return {
    data,
    toText: (style) => ` ${style.green(style.symbols.ok)} drained: ${summaryText(data)}`,
  }
}

/** Tells of webhooks what somebody should look at. */
function tellOf(say: Speaker, tally: WebhookTally, clock: Clock) {
  const spare = createSparing(clock, (subject, text) =>
    say.line(subject, (style) => `${style.yellow(style.symbols.warn)} ${text}`, { text }),
  )
  return {
    clock,
    onReceiver(event: ReceiverEvent) {
      tally.onReceiver(event)
      if (event.error) spare('failed', event.source, problemText(event.error))
    },
    onSender(event: SenderEvent) {
      tally.onSender(event)
      const text = senderText(event)
      const subject = 'endpointId' in event ? event.endpointId : 'webhooks'
      const share = event.kind === 'endpoint.failing' ? event.share : ''
      if (text !== undefined) spare(`${event.kind}${share}`, subject, text)
    },
  }
}

function summaryText({ published, handled, waiting, dead }: RunSummary): string {
  const rest = waiting === 0 ? 'nothing waits' : `${waiting} wait for the next start`
  return `${published} published · ${handled} handled · ${dead} dead · ${rest}`
}

interface Parts {
  readonly plan: StartPlan
  readonly server: Server
  readonly say: Speaker
  readonly url: string
  /** Where webhooks come in, and go out from. */
  readonly door: WebhookDoor | undefined
  readonly tally: WebhookTally
}

class Runner {
  readonly #context: CommandContext
  readonly #options: RunOptions
  readonly #parts: Parts
  readonly #over = new AbortController()
  readonly #supervisor: Supervisor
  #session: Session | undefined
  #registry: ServedRegistry | undefined
  #feedsAreDone = false
  #toldPlace = false
  #told: BusStats | undefined
  #toldWebhooks: Promise<void> | undefined
  #watching: Promise<void> = Promise.resolve()
  #stopWatchingFiles: () => void = () => {}
  #summary: RunSummary

  constructor(context: CommandContext, options: RunOptions, parts: Parts) {
    this.#context = context
    this.#options = options
    this.#parts = parts
    this.#supervisor = createSupervisor({
      programs: parts.plan.programs,
      clock: context.clock,
      onEvent: (event) => this.#onService(event),
    })
    this.#summary = { url: parts.url, published: 0, handled: 0, dead: 0, waiting: 0 }
  }

  async begin(startedAt: number): Promise<void> {
    const { plan, server, say, url } = this.#parts
    const file = storeFile(plan.transport)
    if (this.#options.fresh && file !== undefined) {
      const done = putAside(file)
      if (done) say.line('store', done)
    }
    this.#session = await this.#open(plan)
    server.attach(this.#session.bus)
    this.#parts.door?.attach(this.#session.webhooks)
    this.#registry = await openServedRegistry(plan, this.#context.clock)
    const registry = server.attachStore(this.#registry.store)
    await this.#registerContracts(registry)
    const watcher = this.#createWatcher()
    const elapsedMs = Math.round(this.#context.clock.monotonic() - startedAt)
    const { contracts } = this.#session.bus
    say.block(
      'ready',
      (style) => bannerText({ ...this.#options, plan, url, elapsedMs, contracts }, style),
      { url, elapsedMs },
    )
    this.#supervisor.start()
    this.#watching = watcher.run()
    this.#feed(this.#session)
    if (this.#options.command === 'dev') this.#watchFiles(plan)
  }

  /** What was edited while a contract is worked on, without a new version, is told in one line and stops nothing. */
  async #registerContracts(registry: Registry): Promise<void> {
    const { say } = this.#parts
    if (this.#options.command === 'dev' || !this.#session) return
    for (const problem of await registerAll(registry, this.#session.bus.contracts)) {
      say.line('registry', (style) => `${style.yellow(style.symbols.warn)} ${problem}`, {
        text: problem,
      })
    }
  }

  untilStopped(): Promise<void> {
    const { stopping } = this.#context
    return new Promise((resolve) => {
      if (stopping.aborted) resolve()
      else stopping.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  /** Ends everything, in the order in which work flows; never throws. */
  async end(): Promise<void> {
    const { plan, server, say } = this.#parts
    const { aborting } = this.#context
    this.#stopWatchingFiles()
    const hurry = () => void this.#supervisor.stop(0)
    aborting.addEventListener('abort', hurry, { once: true })
    const drainMs = aborting.aborted ? 0 : plan.drainMs
    await Promise.race([this.#parts.door?.close(drainMs), untilAborted(aborting)])
    await Promise.all([
      this.#supervisor.stop(drainMs),
      Promise.race([this.#closeSession(drainMs), untilAborted(aborting)]),
    ])
    aborting.removeEventListener('abort', hurry)
    this.#over.abort()
    await Promise.all([this.#watching, this.#toldWebhooks])
    await server.close()
    await this.#registry?.close()
    await say.flush()
  }

  summary(): RunSummary {
    return this.#summary
  }

  async #closeSession(drainMs: number): Promise<void> {
    try {
      const stats = await this.#session?.bus.stats()
      await this.#session?.close(drainMs)
      if (stats) this.#summary = { ...this.#summary, ...pickCounts(stats) }
    } catch (error) {
      this.#parts.say.line('stop', errorMessage(error))
    }
  }

  async #open(plan: StartPlan): Promise<Session> {
    const { say, url, door } = this.#parts
    const contracts = await projectContracts(this.#context)
    this.#checkWebhooks(plan, contracts)
    return openSession({
      plan,
      contracts,
      url,
      clock: this.#context.clock,
      ...(door === undefined ? {} : { webhookSink: door }),
      ...(this.#options.command === 'serve' ? {} : { startQueues: () => this.#startQueues() }),
      onFeed: (name, text, failed) =>
        say.line(
          name,
          (style) =>
            failed
              ? `${style.red(style.symbols.fail)} ${text}`
              : `${style.cyan(style.symbols.arrow)} ${text}`,
          {
            feed: name,
            text,
            failed,
          },
        ),
      onSettled: (event) => this.#onSettled(event),
      onError: (text) =>
        say.line('bus', (style) => `${style.yellow(style.symbols.warn)} ${text}`, { text }),
    })
  }

  #startQueues(): Promise<CallQueues> {
    return startCallQueues(this.#context, (connector, drained) =>
      this.#parts.say.line(connector, (style) => `${style.symbols.arrow} ${drainedText(drained)}`, {
        kind: 'calls',
        connector,
        ...drained,
      }),
    )
  }

  #checkWebhooks({ webhooks, configFile }: StartPlan, contracts: readonly Contract[]): void {
    if (!webhooks) return
    const place = { file: configFile, cwd: this.#context.cwd }
    for (const { file, line, message } of checkAgainstContracts(webhooks, contracts, place)) {
      const text = `${file}:${line ?? 1}  ${message}`
      this.#parts.say.line('webhooks', (style) => `${style.yellow(style.symbols.warn)} ${text}`, {
        text,
      })
    }
  }

  /** Once what goes out has come to rest as well. */
  async #tellWebhooks(): Promise<void> {
    const { say, tally } = this.#parts
    const current = () => this.#session?.webhooks
    if (!(await untilIdle(current, this.#context.clock, this.#over.signal))) return
    const webhooks = current()
    const lines = webhooks ? await webhookLines(webhooks, tally) : []
    if (lines.length === 0) return
    say.block('webhooks', (style) => `\n${webhookTable(lines, style)}\n`, { webhooks: lines })
  }

  #feed(session: Session): void {
    this.#feedsAreDone = false
    void session.runFeeds().then(() => {
      this.#feedsAreDone = true
    })
  }

  /** Where somebody develops, every message is worth a line; elsewhere those that are tried again. */
  #onSettled(event: SettledEvent): void {
    const isQuiet = ['skipped', 'duplicate', 'dead'].includes(event.outcome)
    const isShown = this.#options.command === 'dev' ? !isQuiet : event.outcome === 'retry'
    if (!isShown) return
    this.#parts.say.line(event.event, (style) => settledText(event, style), {
      ...event,
      kind: 'settled',
    })
  }

  #onService(event: ServiceEvent): void {
    this.#parts.say.line(event.service, (style) => serviceText(event, style), {
      ...event,
      kind: `service-${event.kind}`,
    })
  }

  /** Where the dead letters are to be found is said once. */
  #moreText(more: number): string {
    const place = this.#toldPlace ? '' : `: ${this.#parts.url}/api/dead, or treaty dead list`
    this.#toldPlace = true
    return `and ${more} more${place}`
  }

  #createWatcher() {
    const { plan, say, url } = this.#parts
    return createBusWatcher({
      bus: () => this.#session?.bus,
      events: Object.keys(plan.show),
      clock: this.#context.clock,
      signal: this.#over.signal,
      mayRest: () => this.#feedsAreDone,
      sink: {
        message: (event, data) =>
          say.line(event, fillTemplate(plan.show[event] ?? '', data), { event }),
        dead: (letters, more) => {
          for (const letter of letters) {
            say.line(letter.event, (style) => deadText(letter, style), {
              kind: 'dead',
              id: letter.id,
              reason: letter.reason,
            })
          }
          if (more > 0) say.line('dead letters', this.#moreText(more), { kind: 'dead', more })
        },
        counts: (stats) => say.status(` ${countsText(stats)}`),
        rest: (stats) => {
          this.#toldWebhooks ??= this.#tellWebhooks().catch(() => undefined)
          const before = this.#told
          this.#told = stats
          say.block('rest', (style) => restText({ stats, before, url }, style), {
            ...pickCounts(stats),
            byEvent: stats.byEvent,
          })
        },
      },
    })
  }

  #watchFiles(plan: StartPlan): void {
    const { say } = this.#parts
    const modules = createModuleReloader(plan.folder)
    let reloading = Promise.resolve()
    const stop = watchFiles(plan.folder, this.#context.clock, (files) => {
      reloading = reloading.then(async () => {
        if (this.#over.signal.aborted) return
        const names = files.map((file) => relative(plan.folder, file))
        say.line('reload', `${names.length === 1 ? names[0] : `${names.length} files`} changed`, {
          files: names,
        })
        modules.renew()
        await this.#reload()
      })
    })
    this.#stopWatchingFiles = () => {
      stop()
      modules.close()
    }
  }

  /** Opens the new before it closes the old: a mistake in a file leaves what runs running. */
  async #reload(): Promise<void> {
    const { server, say } = this.#parts
    const before = this.#session
    try {
      const plan = await makePlan(this.#context, this.#options.arguments, true)
      const next = await this.#open(plan)
      this.#session = next
      server.attach(next.bus)
      this.#parts.door?.attach(next.webhooks)
      await before?.close(1000)
      this.#feed(next)
      say.line('reload', (style) => `${style.green(style.symbols.ok)} done`)
    } catch (error) {
      const findings = isTreatyError(error) ? error.findings : []
      say.line(
        'reload',
        (style) => `${style.red(style.symbols.fail)} ${errorMessage(error)}; what ran goes on`,
      )
      for (const finding of findings.slice(0, 5)) {
        const place = finding.file === undefined ? '' : `${finding.file}:${finding.line ?? 1}  `
        const hint = finding.hint === undefined ? '' : ` (${finding.hint})`
        say.line('', `${place}${finding.message}${hint}`, { finding })
      }
    }
  }
}

function pickCounts<Counts extends Omit<RunSummary, 'url'>>({
  published,
  handled,
  dead,
  waiting,
}: Counts) {
  return { published, handled, dead, waiting }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
