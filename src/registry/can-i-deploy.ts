import type { Consumer, Contract } from '../contracts/index.ts'
import { compareVersions, parseVersion } from '../contracts/index.ts'
import type { Finding } from '../core/finding.ts'
import type { MessageProof } from './can-i-deploy-proof.ts'
import { proveCommand, proveEvents } from './can-i-deploy-proof.ts'

/** A version of a service that runs somewhere. */
export interface LiveService {
  readonly service: string
  readonly version: string
  readonly environment: string
  /** Contract id → its version that this build was made against. */
  readonly contracts: Readonly<Record<string, string>>
}

export interface CanIDeployRequest {
  readonly service: string
  readonly version: string
  /** In production what is not known blocks; elsewhere it warns. Default: production where the name begins with `prod`. */
  readonly environment: { readonly name: string; readonly production?: boolean }
  /** Every contract version that is known. */
  readonly contracts: readonly Contract[]
  /** What runs, in any environment. */
  readonly deployments: readonly LiveService[]
  /** Contract id → its version that the service was built against. Default: what a record of the same version says, anywhere. */
  readonly built?: Readonly<Record<string, string>>
  /** Entries that services pushed from their own repositories; they win over what the contract says of them. */
  readonly consumers?: readonly {
    readonly contract: string
    readonly consumer: string
    readonly version: string
    readonly entry: Consumer
  }[]
}

/** One counterpart, one message type. */
export interface DeployCheck extends MessageProof {
  readonly contract: string
  readonly counterpart: string
  /** Absent where nothing is recorded of it. */
  readonly counterpartVersion?: string
  /** Whose messages are read: those of the service, or those of the counterpart. */
  readonly direction: 'service writes' | 'counterpart writes'
  readonly pending: boolean
  /** True when this alone forbids the deployment. */
  readonly blocks: boolean
}

export interface DeployAnswer {
  readonly service: string
  readonly version: string
  readonly environment: string
  /** Nothing blocks. */
  readonly ok: boolean
  /** `no`: something breaks; `unknown`: something is not known; warnings of an environment that is not production included. */
  readonly verdict: 'yes' | 'no' | 'unknown'
  readonly checks: readonly DeployCheck[]
  readonly findings: readonly Finding[]
}

interface Question {
  readonly request: CanIDeployRequest
  readonly isProduction: boolean
  readonly byVersion: ReadonlyMap<string, Contract>
  /** Counterparts: what else runs in the environment. */
  readonly live: readonly LiveService[]
}

/**
 * Whether a version of a service may go into an environment: for each contract that it takes part in, every version of every
 * counterpart that runs there must read what it writes, and write what it reads. A static proof; runs no program. Pending
 * consumers never block.
 */
export async function canIDeploy(request: CanIDeployRequest): Promise<DeployAnswer> {
  const { service, version, environment } = request
  const question: Question = {
    request,
    isProduction: environment.production ?? environment.name.startsWith('prod'),
    byVersion: new Map(request.contracts.map((each) => [keyOf(each.id, each.version), each])),
    live: request.deployments.filter(
      (each) => each.environment === environment.name && each.service !== service,
    ),
  }
  const built = request.built ?? recordOf(request)
  const checks: DeployCheck[] = []
  if (built === undefined) checks.push(noRecord(question))
  for (const [id, contractVersion] of Object.entries(built ?? {})) {
    const own = question.byVersion.get(keyOf(id, contractVersion))
    if (own === undefined) checks.push(unknownContract(question, id, contractVersion))
    else checks.push(...(await contractChecks(question, own)))
  }
  const counted = checks.filter(({ pending }) => !pending)
  const verdict = counted.some((check) => check.verdict === 'breaking')
    ? 'no'
    : counted.some((check) => check.verdict === 'unknown')
      ? 'unknown'
      : 'yes'
  return {
    service,
    version,
    environment: environment.name,
    ok: !checks.some(({ blocks }) => blocks),
    verdict,
    checks,
    findings: checks.flatMap((check) => findingOf(question, check)),
  }
}

const keyOf = (id: string, version: string) => `${id} ${version}`

/** What the records of this very version say, wherever it runs. */
function recordOf({
  service,
  version,
  deployments,
}: CanIDeployRequest): Readonly<Record<string, string>> | undefined {
  const records = deployments.filter((each) => each.service === service && each.version === version)
  if (records.length === 0) return undefined
  return Object.fromEntries(records.flatMap(({ contracts }) => Object.entries(contracts)))
}

/** True when the verdict alone forbids the deployment. */
function blocks(
  { isProduction }: Question,
  verdict: MessageProof['verdict'],
  pending: boolean,
): boolean {
  if (pending || verdict === 'compatible') return false
  return verdict === 'breaking' || isProduction
}

function noRecord(question: Question): DeployCheck {
  const { service, version } = question.request
  return {
    contract: '',
    counterpart: '',
    message: '',
    direction: 'service writes',
    pending: false,
    verdict: 'unknown',
    reason: `nothing is recorded of ${service} ${version}: which contracts it was built against is not known`,
    blocks: blocks(question, 'unknown', false),
  }
}

function unknownContract(question: Question, id: string, version: string): DeployCheck {
  return {
    ...noRecord(question),
    contract: id,
    reason: `${id} ${version} is not known, and ${question.request.service} was built against it`,
  }
}

async function contractChecks(question: Question, own: Contract): Promise<DeployCheck[]> {
  const names = counterpartsOf(own, question.request.service)
  const running = question.live.filter(({ contracts }) => contracts[own.id] !== undefined)
  const checks: DeployCheck[] = []
  for (const each of running) checks.push(...(await pairChecks(question, own, each)))
  for (const [name, pending] of names) {
    if (running.some(({ service }) => service === name)) continue
    checks.push({
      contract: own.id,
      counterpart: name,
      message: '',
      direction: own.consumers[name] ? 'service writes' : 'counterpart writes',
      pending,
      verdict: 'unknown',
      reason: `nothing is recorded of ${name} in ${question.request.environment.name}`,
      blocks: blocks(question, 'unknown', pending),
    })
  }
  return checks
}

const isProducer = ({ producers, commands }: Contract, service: string) =>
  producers[service] !== undefined ||
  Object.values(commands).some(({ handler }) => handler === service)

/** Those whom the contract names on the other side, and whether they are pending. */
function counterpartsOf(contract: Contract, service: string): Map<string, boolean> {
  const found = new Map<string, boolean>()
  if (isProducer(contract, service)) {
    for (const { name, pending } of Object.values(contract.consumers)) found.set(name, pending)
  }
  if (contract.consumers[service] !== undefined) {
    for (const name of Object.keys(contract.producers)) found.set(name, false)
  }
  found.delete(service)
  return found
}

async function pairChecks(
  question: Question,
  own: Contract,
  other: LiveService,
): Promise<DeployCheck[]> {
  const { request, byVersion } = question
  const { service } = request
  const otherVersion = other.contracts[own.id] ?? ''
  const theirs = byVersion.get(keyOf(own.id, otherVersion))
  const shared = {
    contract: own.id,
    counterpart: other.service,
    counterpartVersion: other.version,
  }
  if (theirs === undefined) {
    const reason = `${own.id} ${otherVersion} is not known, and ${other.service} ${other.version} runs with it`
    return [
      {
        ...shared,
        message: '',
        direction: 'service writes',
        pending: false,
        verdict: 'unknown',
        reason,
        blocks: blocks(question, 'unknown', false),
      },
    ]
  }
  const history = inOrder(request.contracts.filter(({ id }) => id === own.id))
  const checks: DeployCheck[] = []
  const add = (
    proofs: readonly MessageProof[],
    direction: DeployCheck['direction'],
    pending = false,
  ) => {
    for (const proof of proofs) {
      const isBlocking = blocks(question, proof.verdict, pending)
      checks.push({ ...shared, ...proof, direction, pending, blocks: isBlocking })
    }
  }
  const reader = entryOf(request, theirs, other)
  if (reader !== undefined && isProducer(own, service)) {
    const proofs = await proveEvents(reader, { writes: own, reads: theirs }, history)
    add(proofs, 'service writes', reader.pending)
  }
  const mine = entryOf(request, own, request)
  if (mine !== undefined && isProducer(theirs, other.service)) {
    // What was pending is deployed now, by the very act that is asked about.
    add(await proveEvents(mine, { writes: theirs, reads: own }, history), 'counterpart writes')
  }
  for (const { name, handler } of Object.values(own.commands)) {
    if (handler === service) add(proveCommand(name, theirs, own), 'counterpart writes')
    else if (theirs.commands[name]?.handler === other.service)
      add(proveCommand(name, own, theirs), 'service writes')
  }
  return checks
}

/** What a service says it reads: the entry that it pushed with this version, else the contract's. */
function entryOf(
  { consumers = [] }: CanIDeployRequest,
  contract: Contract,
  { service, version }: { readonly service: string; readonly version: string },
): Consumer | undefined {
  const pushed = consumers.find(
    (each) =>
      each.contract === contract.id && each.consumer === service && each.version === version,
  )
  return pushed?.entry ?? contract.consumers[service]
}

function inOrder(contracts: readonly Contract[]): Contract[] {
  return contracts.toSorted((a, b) => {
    const [left, right] = [parseVersion(a.version), parseVersion(b.version)]
    return left && right ? compareVersions(left, right) : 0
  })
}

function findingOf({ request }: Question, check: DeployCheck): Finding[] {
  const { verdict, pending, reason = '', witness, message, counterpart, counterpartVersion } = check
  if (verdict === 'compatible') return []
  const name =
    counterpartVersion === undefined ? counterpart : `${counterpart} ${counterpartVersion}`
  const isMine = check.direction === 'service writes'
  const who = isMine
    ? `${name} cannot read \`${message}\` of ${request.service} ${request.version}`
    : `${request.service} ${request.version} cannot read \`${message}\` of ${name}`
  const text = message === '' ? reason : `${who}: ${reason}`
  return [
    {
      code: verdict === 'breaking' ? 'DEPLOYMENT_BREAKS' : 'DEPLOYMENT_UNKNOWN',
      severity: pending ? 'info' : check.blocks ? 'error' : 'warning',
      message: text,
      hint: hintOf(check, request),
      ...(message === '' ? {} : { event: message }),
      ...(isMine && counterpart !== '' ? { consumer: counterpart } : {}),
      ...(witness === undefined ? {} : { witness }),
    },
  ]
}

function hintOf(
  { verdict, direction, counterpart }: DeployCheck,
  request: CanIDeployRequest,
): string {
  if (verdict === 'unknown') {
    return 'Record what runs with treaty deployment record, and its contracts with treaty contract push.'
  }
  return direction === 'service writes'
    ? `Deploy a version of ${counterpart} that reads it first.`
    : `Let ${request.service} read what ${counterpart} writes, or deploy a version of ${counterpart} that keeps it first.`
}
