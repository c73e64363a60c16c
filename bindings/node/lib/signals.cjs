'use strict';

// Who wants to know of an abort. A signal gets one listener from here, however many calls share it:
// Node warns of signals with more than ten.

const waiting = new WeakMap();

// Calls `react` when the signal is aborted; the result forgets about it.
function onAbort(signal, react) {
  let reactions = waiting.get(signal);
  if (reactions === undefined) {
    reactions = new Set();
    waiting.set(signal, reactions);
  }
  const tell = () => {
    waiting.delete(signal);
    for (const reaction of reactions) reaction();
  };
  if (reactions.size === 0) {
    signal.addEventListener('abort', tell, { once: true });
    reactions.unlisten = () => signal.removeEventListener('abort', tell);
  }
  reactions.add(react);
  return () => {
    if (reactions.delete(react) && reactions.size === 0) reactions.unlisten();
  };
}

module.exports = { onAbort };
