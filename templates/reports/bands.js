// Coloured background bands behind a series: what regime was known at each candle.
class RegimeBands {
  constructor(bands, colour) {
    this.bands = bands;
    this.colour = colour;
    this.chart = null;
  }

  attached({ chart, requestUpdate }) {
    this.chart = chart;
    this.requestUpdate = requestUpdate;
  }

  detached() {
    this.chart = null;
  }

  paneViews() {
    const bands = this;
    return [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => bands.draw(target) }) }];
  }

  draw(target) {
    if (!this.chart) return;
    const scale = this.chart.timeScale();
    const visible = scale.getVisibleRange();
    if (!visible) return;
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio }) => {
      for (const [from, to, regime] of this.bands) {
        if (to < visible.from || from > visible.to) continue;
        // Ends outside the view have no coordinate; the edge of the pane stands for them.
        const left = from <= visible.from ? 0 : scale.timeToCoordinate(from);
        const right = to >= visible.to ? bitmapSize.width / horizontalPixelRatio : scale.timeToCoordinate(to);
        if (left === null || right === null || right <= left) continue;
        context.fillStyle = this.colour(regime);
        context.fillRect(Math.round(left * horizontalPixelRatio), 0, Math.ceil((right - left) * horizontalPixelRatio), bitmapSize.height);
      }
    });
  }
}
