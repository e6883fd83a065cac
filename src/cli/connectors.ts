import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { displayPath, parseYaml } from '../contracts/index.ts'
import { errorMessage, TreatyError } from '../core/errors.ts'
import { Secret } from '../core/secret.ts'
import type {
  CallQueue,
  ClientOptions,
  Connector,
  ConnectorConfig,
  Drained,
  OpenApiContract,
} from '../http/index.ts'
import type { Store } from '../store/index.ts'
import type { CommandContext } from './command.ts'
import { suggest } from './suggest.ts'

/** The connectors of the configuration, by name, in its order. */
export async function configuredConnectors(
  context: CommandContext,
): Promise<readonly (readonly [name: string, config: ConnectorConfig])[]> {
  return Object.entries((await context.settings()).connectors ?? {})
}

/**
 * The contract of a connector; without one it has no operations.
 *
 * @throws FILE_UNREADABLE, CONNECTOR_INVALID
 */
export async function connectorContract(
  config: ConnectorConfig,
  context: CommandContext,
): Promise<OpenApiContract> {
  const { readOpenApi } = await import('../http/index.ts')
  const bare = { openapi: '3.1.0', paths: {} }
  if (config.contract === undefined) return readOpenApi(bare)
  const path = resolve((await context.settings()).folder, config.contract)
  const shown = displayPath(path, context.cwd)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new TreatyError('FILE_UNREADABLE', `${shown} cannot be read: ${errorMessage(cause)}`, {
      hint: 'Check the path of the contract in connectors.',
      cause,
    })
  }
  const { value, report } = parseYaml(text, shown)
  const contract = readOpenApi(value, shown)
  return { ...contract, findings: [...report.findings, ...contract.findings] }
}

/** A connector of the configuration with what it shares with other processes. */
export interface OpenedConnector {
  readonly connector: Connector
  /** Calls that wait for a neighbour to come back; undefined where its fallback is another. */
  readonly queue: CallQueue | undefined
  /** Closes the store too. */
  close(): Promise<void>
}

/** What a caller adds to the configuration of a connector. */
export interface OpenConfiguredOptions {
  /** In place of the network, or around it. */
  readonly transport?: ClientOptions['transport']
  /** Told of what the queue has sent, once it is started. */
  readonly onDrained?: (drained: Drained) => void
}

/**
 * Opens a connector of the configuration, and the store where it shares something there.
 *
 * @throws CONNECTOR_UNKNOWN, CONNECTOR_INVALID, SECRET_NOT_FOUND, HTTP_OPTIONS_INVALID and the STORE_ codes
 */
export async function openConfigured(
  name: string,
  context: CommandContext,
  { transport, onDrained }: OpenConfiguredOptions = {},
): Promise<OpenedConnector> {
  const config = await configOf(name, context)
  const { connectorOptions, createCallQueue, needsStore, openConnector } = await import(
    '../http/index.ts'
  )
  const contract = await connectorContract(config, context)
  const store = needsStore(config) ? await openSharedStore(context) : undefined
  try {
    const { clock } = context
    let connector: Connector | undefined
    const queue =
      store && config.resilience?.fallback?.queue
        ? createCallQueue({
            store,
            name,
            clock,
            ...(onDrained === undefined ? {} : { onDrained }),
            send: (request) => (connector as Connector).client.request(request),
          })
        : undefined
    const options = connectorOptions(name, config, {
      server: contract.server,
      resolve: (text) => new Secret(text, context.reveal(text)),
      store,
      queue,
    })
    const opened = openConnector(name, contract, {
      ...options,
      clock,
      ...(transport === undefined ? {} : { transport }),
    })
    connector = opened
    return {
      connector: opened,
      queue,
      async close() {
        await opened.close()
        await store?.close()
      },
    }
  } catch (error) {
    await store?.close()
    throw error
  }
}

async function openSharedStore(context: CommandContext): Promise<Store> {
  const [{ openStore }, { storeUrlFor }] = await Promise.all([
    import('../store/index.ts'),
    import('../messaging/index.ts'),
  ])
  const settings = await context.settings()
  const url = context.reveal(settings.store ?? storeUrlFor(context.reveal(settings.transport)))
  return openStore(url, { clock: context.clock })
}

/** @throws CONNECTOR_UNKNOWN */
async function configOf(name: string, context: CommandContext): Promise<ConnectorConfig> {
  const all = await configuredConnectors(context)
  const config = all.find(([known]) => known === name)?.[1]
  if (config === undefined) {
    const names = all.map(([known]) => known)
    throw new TreatyError('CONNECTOR_UNKNOWN', `there is no connector ${name}`, {
      hint: suggest(name, names) ?? 'Add it to connectors in treaty.config.yaml.',
      details: { connector: name },
    })
  }
  return config
}
