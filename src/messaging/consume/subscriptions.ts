import type { Subscription } from '../types.ts'

/** Several subscriptions of one consumer, as one. */
export function together(consumer: string, parts: readonly Subscription[]): Subscription {
  return {
    consumer,
    get isReady() {
      return parts.every((part) => part.isReady)
    },
    pause: () => {
      for (const part of parts) part.pause()
    },
    resume: () => {
      for (const part of parts) part.resume()
    },
    stop: async (options) => {
      await Promise.all(parts.map((part) => part.stop(options)))
    },
  }
}

/** The same subscription, that tells when it was stopped. */
export function tracked(
  subscription: Subscription,
  onStopped: (self: Subscription) => void,
): Subscription {
  const self: Subscription = {
    consumer: subscription.consumer,
    get isReady() {
      return subscription.isReady
    },
    pause: () => subscription.pause(),
    resume: () => subscription.resume(),
    stop: async (options) => {
      await subscription.stop(options)
      onStopped(self)
    },
  }
  return self
}
