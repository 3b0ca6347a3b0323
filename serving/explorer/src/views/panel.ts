// What all views have in common.

import type { State } from "../state";

/** A part of the page; `update` brings it from one state to another. */
export interface Panel {
  readonly root: HTMLElement;
  update(state: State, before: State | null): void;
}

/** Says something to everyone, screen readers included. */
export type Announce = (message: string) => void;

/**
 * Runs the newest of several asynchronous updates: one that is overtaken while it works does not show its result.
 *
 * @param report called when the work fails.
 */
export class Latest {
  private turn = 0;

  constructor(private readonly report: (error: unknown) => void) {}

  async run<T>(work: () => Promise<T>, show: (result: T) => void): Promise<void> {
    const turn = ++this.turn;
    try {
      const result = await work();
      if (turn === this.turn) show(result);
    } catch (error) {
      this.report(error);
    }
  }
}
