import { TreatyError } from '../../../core/errors.ts'
import type { DeliverySink, SubscriptionSpec, TransportSubscription } from '../../transport.ts'
import { claimWithCredit, giveBackAll, handOut } from './claim.ts'
import { type LocalSubscription, newLocalGroup } from './groups.ts'
import type { Session } from './session.ts'

/** Begins to hand deliveries of a group to `sink`, as far as credit goes. @throws GROUP_NOT_FOUND */
export async function subscribe(
  session: Session,
  { group }: SubscriptionSpec,
  sink: DeliverySink,
): Promise<TransportSubscription> {
  await findGroup(session, group)
  const local = session.groups.get(group) ?? newLocalGroup(group)
  session.groups.set(group, local)
  const subscription: LocalSubscription = {
    local,
    sink,
    credit: 0,
    isPaused: false,
    isStopped: false,
  }
  local.subscriptions.push(subscription)
  const wake = () => {
    handOut(session, local)
    claimWithCredit(session, local)
  }
  return {
    grant(count) {
      if (!(count > 0)) return
      subscription.credit += Math.trunc(count)
      wake()
    },
    pause() {
      subscription.isPaused = true
      if (local.subscriptions.every((each) => each.isPaused)) giveBackAll(session, local)
    },
    resume() {
      subscription.isPaused = false
      wake()
    },
    async stop() {
      if (subscription.isStopped && !local.subscriptions.includes(subscription)) return
      subscription.isStopped = true
      local.subscriptions.splice(local.subscriptions.indexOf(subscription), 1)
      if (local.subscriptions.length > 0) return
      giveBackAll(session, local)
      if (local.dueTimer !== undefined) session.clock.clearTimeout(local.dueTimer)
      session.groups.delete(group)
    },
    get isReady() {
      return !subscription.isStopped
    },
  }
}

/** Learns the number of a group. It may be another after an ephemeral group was made anew. */
async function findGroup(session: Session, name: string): Promise<void> {
  const { access, schema } = session
  const [row] = await access.read(`SELECT id FROM ${schema}.bus_group WHERE name = $1`, [name])
  if (row === undefined) {
    throw new TreatyError('GROUP_NOT_FOUND', `there is no group '${name}'`, {
      hint: 'Ensure the topology of the contract before subscribing.',
      details: { group: name },
    })
  }
  session.groupIds.set(name, Number(row.id))
}
