import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

// Processor time of servers, from /proc: what a broker spends for a message is part of its price.

/** Of the kernel's clock; 100 a second on every Linux that Node runs on. */
const tickMicros = 10_000

/** Microseconds of CPU that a process has used so far, without its children; 0 where it is gone, or where there is no /proc. */
export function processCpuMicros(pid: number): number {
  const fields = statOf(pid)
  return fields === undefined ? 0 : (Number(fields[11]) + Number(fields[12])) * tickMicros
}

/** Fields of /proc/PID/stat after the name, which may hold spaces; the first is the state. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

/** What a process has moved so far, in bytes; zeros where it is gone, is another user's, or where there is no /proc. */
export interface ProcessIo {
  /** Given to `read` and its kin, of sockets too. */
  readonly received: number
  /** Given to `write` and its kin, of sockets too. */
  readonly sent: number
  /** On their way to a disk; pages count when they are changed. */
  readonly disk: number
}

export function ioOf(pid: number): ProcessIo {
  let text = ''
  try {
    text = readFileSync(`/proc/${pid}/io`, 'utf8')
  } catch {
    // It is gone, or may not be looked at.
  }
  const of = (field: string) => Number(new RegExp(`^${field}: (\\d+)`, 'm').exec(text)?.[1] ?? 0)
  return { received: of('rchar'), sent: of('wchar'), disk: of('write_bytes') }
}

/** The process that `services/up NAME` started; undefined where it is another's server. */
export function servicePid(name: string): number | undefined {
  try {
    const file = fileURLToPath(new URL(`../.services/pids/${name}`, import.meta.url))
    const [pid] = readFileSync(file, 'utf8').split(' ')
    return Number(pid)
  } catch {
    return undefined
  }
}

/** A process and everything below it that lives now. */
export function treeOf(root: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const fields = statOf(Number(name))
    if (fields !== undefined) parents.set(Number(name), Number(fields[1]))
  }
  const found = [root]
  for (const pid of found) {
    for (const [child, parent] of parents) if (parent === pid) found.push(child)
  }
  return found
}

/** Reads the processor time of a service of `services/`, all its processes together. */
export function serviceCpu(name: string): () => number {
  return () => {
    const pid = servicePid(name)
    if (pid === undefined) return 0
    return treeOf(pid).reduce((sum, each) => sum + processCpuMicros(each), 0)
  }
}
