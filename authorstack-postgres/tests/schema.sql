-- The five tables of the old app's schema, without the index that PostgreSQL refuses.
CREATE TABLE sales_data (
  id SERIAL PRIMARY KEY,
  user_id UUID NOT NULL,
  book_id UUID NOT NULL,       -- MongoDB ObjectId as string
  platform VARCHAR(50) NOT NULL,
  date DATE NOT NULL,
  revenue DECIMAL(10,2) NOT NULL,
  units INTEGER NOT NULL,
  page_reads INTEGER DEFAULT 0,
  currency VARCHAR(3) DEFAULT 'USD',
  synced_at TIMESTAMP DEFAULT NOW(),
  
  UNIQUE(user_id, book_id, platform, date)
);

CREATE INDEX idx_sales_user_date ON sales_data(user_id, date DESC);
CREATE INDEX idx_sales_platform ON sales_data(platform);
CREATE INDEX idx_sales_book ON sales_data(book_id);

CREATE TABLE daily_aggregates (
  id SERIAL PRIMARY KEY,
  user_id UUID NOT NULL,
  date DATE NOT NULL,
  total_revenue DECIMAL(10,2) NOT NULL,
  total_units INTEGER NOT NULL,
  total_page_reads INTEGER DEFAULT 0,
  platform_breakdown JSONB,    -- {"kdp": {"revenue": 100, "units": 50}}
  book_breakdown JSONB,        -- {"book_id": {"revenue": 50, "units": 25}}
  
  UNIQUE(user_id, date)
);

CREATE INDEX idx_aggregates_user_date ON daily_aggregates(user_id, date DESC);

CREATE TABLE sync_logs (
  id SERIAL PRIMARY KEY,
  user_id UUID NOT NULL,
  platform VARCHAR(50) NOT NULL,
  status VARCHAR(20) NOT NULL,  -- "success" | "partial" | "failed"
  records_synced INTEGER DEFAULT 0,
  error_message TEXT,
  synced_at TIMESTAMP DEFAULT NOW()
);

CREATE INDEX idx_sync_user ON sync_logs(user_id, synced_at DESC);

CREATE TABLE ai_insights (
  id SERIAL PRIMARY KEY,
  user_id UUID NOT NULL,
  book_id UUID,                 -- NULL for user-level insights
  insight_type VARCHAR(50),     -- "trend" | "pricing" | "forecast"
  content JSONB NOT NULL,
  confidence DECIMAL(3,2),
  valid_until TIMESTAMP,
  created_at TIMESTAMP DEFAULT NOW()
);

CREATE INDEX idx_insights_user ON ai_insights(user_id, created_at DESC);

CREATE TABLE revenue_forecasts (
  id SERIAL PRIMARY KEY,
  user_id UUID NOT NULL,
  forecast_date DATE NOT NULL,
  predicted_revenue DECIMAL(10,2),
  actual_revenue DECIMAL(10,2), -- Filled in after the date
  confidence DECIMAL(3,2),
  factors JSONB,
  created_at TIMESTAMP DEFAULT NOW()
);

CREATE INDEX idx_forecasts_user ON revenue_forecasts(user_id, forecast_date);
