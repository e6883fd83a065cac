import { discardScript, getLetterScript, putLetterScript, replayScript } from './dead-scripts.ts'
import { beatScript, leaveScript, releaseScript, turnScript } from './lane-scripts.ts'
import { adoptScript, publishScript } from './publish-script.ts'
import type { Script } from './script.ts'
import { statsScript } from './stats-script.ts'
import {
  channelScript,
  countedScript,
  groupScript,
  removeChannelScript,
  removeGroupScript,
} from './topology-scripts.ts'
import { dueScript, upkeepScript } from './upkeep-scripts.ts'

/** Every script, to be brought to the server with each new connection. */
export const allScripts: readonly Script[] = [
  publishScript,
  adoptScript,
  beatScript,
  turnScript,
  releaseScript,
  leaveScript,
  channelScript,
  groupScript,
  countedScript,
  removeGroupScript,
  removeChannelScript,
  dueScript,
  upkeepScript,
  getLetterScript,
  putLetterScript,
  discardScript,
  replayScript,
  statsScript,
]
