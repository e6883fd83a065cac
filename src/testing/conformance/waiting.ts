/** A condition that did not come true in time. */
export class WaitedInVain extends Error {
  override readonly name = 'WaitedInVain'
}

export interface WaitOptions {
  /** Milliseconds. */
  readonly boundMs: number
  /** What is waited for, read when the wait fails: include the state that was found. */
  readonly what: () => string
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Resolves once `condition` is true, looking every few milliseconds. @throws WaitedInVain */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  options: WaitOptions,
): Promise<void> {
  const deadline = performance.now() + options.boundMs
  while (!(await condition())) {
    if (performance.now() > deadline) {
      throw new WaitedInVain(`waited ${options.boundMs} ms in vain for ${options.what()}`)
    }
    await sleep(4)
  }
}

/** The result of `work`, or an error when it takes longer than `options.boundMs`. @throws WaitedInVain */
export async function within<T>(work: Promise<T>, options: WaitOptions): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new WaitedInVain(`waited ${options.boundMs} ms in vain for ${options.what()}`))
    }, options.boundMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
