-- What each run bought of each teacher, what it cost, what is in doubt
SELECT run_id, name, s.model, calls, failed_calls, bought_samples,
       price_usd, unknown_prices, in_doubt, in_doubt_usd,
       reused_samples, reused_usd
FROM teacher_spend s
JOIN run_summary r ON r.id = s.run_id
ORDER BY run_id DESC, s.model;
