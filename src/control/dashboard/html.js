// Templates without a build: htm's tagged literals make preact's nodes. Nothing is evaluated from text.

import htm from 'htm';
import { h } from 'preact';

export const html = htm.bind(h);
