export function drawChart(){}
