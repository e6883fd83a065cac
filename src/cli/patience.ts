import { redactUrl } from '../core/secret.ts'
import type { CommandContext } from './command.ts'

/** Milliseconds after which a person is told what is waited for. */
const firstMs = 1500
const againMs = 10_000

/**
 * Waits for a broker, and says so on standard error where it takes its time: once, and then every ten seconds. Nothing is said of
 * files and of memory.
 */
export async function withPatience<Result>(
  { clock, note }: Pick<CommandContext, 'clock' | 'note'>,
  url: string,
  work: Promise<Result>,
): Promise<Result> {
  if (!/^[a-z][a-z0-9+]*:\/\//i.test(url)) return work
  const place = redactUrl(url).replace(/\?.*$/, '')
  const begunAt = clock.monotonic()
  const tell = (text: string) => {
    note(text)
    timer = clock.setTimeout(
      () => tell(`still waiting, ${Math.round((clock.monotonic() - begunAt) / 1000)} s`),
      againMs,
    )
  }
  let timer = clock.setTimeout(() => tell(`waiting for ${place} …`), firstMs)
  try {
    return await work
  } finally {
    clock.clearTimeout(timer)
  }
}
