-- Pairs of the newest run whose negative the discriminator prefers
SELECT step, example,
       round(positive_quality, 3) AS positive_quality,
       round(negative_quality, 3) AS negative_quality,
       negative_source, active, positive, negative
FROM rationale_pairs
WHERE run_id = (SELECT max(run_id) FROM last_visits)
  AND negative_quality > positive_quality
ORDER BY negative_quality - positive_quality DESC
LIMIT 50;
