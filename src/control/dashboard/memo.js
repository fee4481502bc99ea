// A part of the page that is drawn anew only when what it is given differs: fifty regions are told of every second, and
// most of what is said of them is what was said before.

import { Component } from 'preact';

/** @param draw a component without hooks, given plain values; an object made anew counts as another one. */
export function memo(draw) {
  return class extends Component {
    shouldComponentUpdate(next) {
      return !isSame(this.props, next);
    }
    render(props) {
      return draw(props);
    }
  };
}

function isSame(before, after) {
  const names = Object.keys(after);
  return (
    names.length === Object.keys(before).length && names.every((name) => Object.is(before[name], after[name]))
  );
}
