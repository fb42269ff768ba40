/** The line at the bottom: filters, searches, commands and types are typed there. */

import { isStruct } from '../btf/type.ts'
import type { Dump } from './dump.ts'
import { placed, stay, viewed, withEffect, withList, type Outcome } from './reducer.ts'
import { Selection } from './selection.ts'
import { listNameOf, OWN, type Prompt, type PromptKind, type State } from './state.ts'
import { wentTo } from './tree-moves.ts'
import type { Found } from './search.ts'
import { fitsFilter } from './tree.ts'

/** Longest line taken. */
const LENGTH_MAX = 1000
const HISTORY = 200

export function openPrompt(state: State, kind: PromptKind): State {
  const before =
    kind !== 'filter' ? '' : state.focus === 'tree' ? state.treeFilter : state.lists[listNameOf(state)].filter
  const chosen = kind === 'command' ? state.history.length : 0
  return { ...state, prompt: { kind, text: before, chosen, before } }
}

/** A key while a prompt is open. */
export function promptKey(state: State, name: string, ch: string | undefined, dump: Dump): Outcome {
  const prompt = state.prompt as Prompt
  switch (name) {
    case 'escape':
    case 'C-c':
      return stay(typed({ ...state, prompt: undefined }, prompt, prompt.before, dump))
    case 'enter':
    case 'linefeed':
      return entered({ ...state, prompt: undefined }, prompt, dump)
    case 'backspace':
      if (prompt.text === '' && prompt.kind !== 'filter') return stay({ ...state, prompt: undefined })
      return stay(edited(state, prompt, Array.from(prompt.text).slice(0, -1).join(''), dump))
    case 'C-u':
      return stay(edited(state, prompt, '', dump))
    case 'C-w':
      return stay(edited(state, prompt, prompt.text.replace(/\S+\s*$/, ''), dump))
    case 'up':
      return stay(chosen(state, prompt, -1, dump))
    case 'down':
      return stay(chosen(state, prompt, 1, dump))
    case 'tab':
      return prompt.kind === 'command'
        ? withEffect(state, { type: 'complete', text: prompt.text })
        : stay(state)
    default:
      return ch !== undefined && /^[\p{L}\p{N}\p{P}\p{S} ]+$/u.test(ch) && prompt.text.length < LENGTH_MAX
        ? stay(edited(state, prompt, prompt.text + ch, dump))
        : stay(state)
  }
}

function edited(state: State, prompt: Prompt, text: string, dump: Dump): State {
  const kept = prompt.kind === 'goto' ? 0 : prompt.chosen
  return typed({ ...state, prompt: { ...prompt, text, chosen: kept } }, prompt, text, dump)
}

/** A filter works while it is typed. */
function typed(state: State, prompt: Prompt, text: string, dump: Dump): State {
  if (prompt.kind !== 'filter') return state
  if (state.focus === 'tree') {
    if (state.treeFilter === text) return state
    const next = placed({ ...state, treeFilter: text }, { cursor: 0, top: 0 })
    const first = new Selection(next, dump).nodes().findIndex((node) => fitsFilter(node, text))
    return first > 0 ? placed(next, { cursor: first }) : next
  }
  const name = listNameOf(state)
  if (state.lists[name].filter === text) return state
  const next = withList(state, name, { filter: text, cursor: 0, top: 0 })
  const fresh = { ...next, trail: [], own: OWN, treeFilter: '', explainTop: 0 }
  return name === 'tasks' ? withList(fresh, 'files', { cursor: 0, top: 0, filter: '' }) : fresh
}

/** Up and down: through the candidates, or through the history. */
function chosen(state: State, prompt: Prompt, by: 1 | -1, dump: Dump): State {
  if (prompt.kind === 'goto') {
    const { known } = dump.world(state.position).search(prompt.text)
    const next = Math.max(0, Math.min(known - 1, prompt.chosen + by))
    return { ...state, prompt: { ...prompt, chosen: next } }
  }
  if (prompt.kind !== 'command') return state
  const at = Math.max(0, Math.min(state.history.length, prompt.chosen + by))
  return { ...state, prompt: { ...prompt, chosen: at, text: state.history[at] ?? '' } }
}

function entered(state: State, prompt: Prompt, dump: Dump): Outcome {
  const text = prompt.text.trim()
  switch (prompt.kind) {
    case 'filter':
      return stay(state)
    case 'cast':
      return stay(text === '' ? state : cast(state, text, dump))
    case 'goto':
      return goTo(state, prompt, dump)
    case 'command': {
      if (text === '') return stay(state)
      if (/^(q|quit|exit)$/.test(text)) return withEffect(state, { type: 'quit' })
      if (state.output.running)
        return stay({ ...state, message: 'the last command still runs: Ctrl-C ends it' })
      const history = [...state.history.filter((line) => line !== text), text].slice(-HISTORY)
      return withEffect({ ...viewed(state, 'command'), history }, { type: 'run', text })
    }
  }
}

/** The address looked at, as another type. */
function cast(state: State, name: string, dump: Dump): State {
  const selection = new Selection(state, dump)
  const { types } = selection.world.target
  const type = types.findStruct(name.replace(/^(struct|union)\s+/, ''))
  if (type === undefined || !isStruct(type)) return { ...state, message: `no struct or union ${name}` }
  const place = selection.place()
  if (place === undefined) return { ...state, message: 'no address is selected' }
  return wentTo(state, { label: type.name, type, va: place.subject.va }, dump)
}

function goTo(state: State, { text, chosen }: Prompt, dump: Dump): Outcome {
  if (text.trim() === '') return stay(state)
  const listing = dump.world(state.position).search(text)
  // Enter may come before the search has found anything
  listing.ensure(chosen + 1)
  const found = listing.at(chosen)
  return found === undefined
    ? stay({ ...state, message: `nothing found: ${text.trim()}` })
    : reached(state, found, dump)
}

function reached(state: State, found: Found, dump: Dump): Outcome {
  if (found.type !== undefined) {
    return withEffect(viewed(state, 'command'), { type: 'run', text: `struct -o ${found.type}` })
  }
  if (found.key !== undefined) {
    const index = dump.world(state.position).indexOf('tasks', found.key)
    const there = withList(viewed(state, 'tasks'), 'tasks', { filter: '', cursor: Math.max(0, index) })
    const files = withList(there, 'files', { cursor: 0, top: 0, filter: '' })
    return stay({ ...files, trail: [], own: OWN, focus: 'list', source: 'list', explainTop: 0 })
  }
  if (found.subject === undefined) return stay(state)
  const shown =
    state.view === 'log' || state.view === 'timeline' || state.view === 'command'
      ? viewed(state, 'tasks')
      : state
  return stay({
    ...wentTo({ ...shown, trail: [] }, found.subject, dump),
    trail: [{ ...OWN, subject: found.subject }],
  })
}
